"""EfficientNet-B0..B4 (Tan and Le 2019, arXiv 1905.11946), names as in torchvision."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import (
    Conv,
    DepthwiseConv,
    Output,
    SqueezeExcite,
    batch_norm,
    drop_path,
    of_style,
    rematerialised,
)


class Stage(NamedTuple):
    """`repeats` blocks of `width` channels, k x k; the first has the stride."""

    expand: int
    width: int
    repeats: int
    stride: int
    size: int


# Table 1 of the paper: B0.
STAGES = (
    Stage(1, 16, 1, 1, 3),
    Stage(6, 24, 2, 2, 3),
    Stage(6, 40, 2, 2, 5),
    Stage(6, 80, 3, 2, 3),
    Stage(6, 112, 3, 1, 5),
    Stage(6, 192, 4, 2, 5),
    Stage(6, 320, 1, 1, 3),
)
STEM = 32

NORMS = {
    "torch": {"momentum": 0.9, "epsilon": 1e-5},
    "keras": {"momentum": 0.99, "epsilon": 1e-3},
}


class Block(nn.Module):
    """An inverted residual with squeeze-and-excitation, its branch dropped at times."""

    width: int
    expand: int
    size: int
    stride: int
    drop_path: float
    style: str
    dtype: Any

    @nn.compact
    def __call__(self, x, train: bool):
        settings = {"use_bias": False, "dtype": self.dtype}
        norms = of_style(NORMS, self.style, "EfficientNet")

        def norm(y, name):
            return batch_norm(y, train=train, name=name, dtype=self.dtype, **norms)

        y, i = x, 0
        if self.expand > 1:
            y = Conv(x.shape[-1] * self.expand, size=1, name="block_0_0", **settings)(y)
            y, i = nn.silu(norm(y, "block_0_1")), 1
        y = DepthwiseConv(
            self.size,
            self.stride,
            padding=_padding(self.style, self.size),
            name=f"block_{i}_0",
            **settings,
        )(y)
        y = nn.silu(norm(y, f"block_{i}_1"))
        squeezed = max(1, x.shape[-1] // 4)
        y = SqueezeExcite(squeezed, self.dtype, name=f"block_{i + 1}")(y)
        y = Conv(self.width, size=1, name=f"block_{i + 2}_0", **settings)(y)
        y = norm(y, f"block_{i + 2}_1")
        if x.shape != y.shape:
            return y
        return x + drop_path(y, self.drop_path, train=train, name="drop_path")


def _padding(style: str, size: int) -> str | int:
    # Keras pads as TensorFlow does: more after than before where there is a stride.
    return "SAME" if style == "keras" else size // 2


class EfficientNet(nn.Module):
    """Stem, seven stages ('features_1_0'...), 1 x 1 to more, dense 'classifier_1'.

    Features are the last maps at 1/4, 1/8, 1/16 and 1/32 of the size.
    width, depth: factors on the channels and on the repeats of B0.
    drop_path: of the last block (stochastic depth); linear from 0 in the first.
    pool, dropout: of the head, see heads.head; the paper's is 0.2 (B0, B1), 0.3 (B2,
      B3), 0.4 (B4).
    remat: compute each block again in the backward pass, to save memory.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    stages: Sequence[Stage] = STAGES
    width: float = 1.0
    depth: float = 1.0
    drop_path: float = 0.2
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "torch"
    scheme: str = "he_fan_out"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        norms = of_style(NORMS, self.style, "EfficientNet")

        def conv_norm(x, width, name, **settings):
            x = Conv(
                width, use_bias=False, dtype=self.dtype, name=f"{name}_0", **settings
            )(x)
            x = batch_norm(x, train=train, name=f"{name}_1", dtype=self.dtype, **norms)
            return nn.silu(x)

        stem = channels(STEM * self.width)
        padding = _padding(self.style, 3)
        x = conv_norm(images, stem, "features_0", stride=2, padding=padding)
        maps, done = [], 0
        block = rematerialised(Block) if self.remat else Block
        repeats = [math.ceil(stage.repeats * self.depth) for stage in self.stages]
        for i, stage in enumerate(self.stages, 1):
            for j in range(repeats[i - 1]):
                stride = stage.stride if j == 0 else 1
                if stride == 2:
                    maps.append(x)
                x = block(
                    channels(stage.width * self.width),
                    stage.expand,
                    stage.size,
                    stride,
                    self.drop_path * done / sum(repeats),
                    self.style,
                    self.dtype,
                    name=f"features_{i}_{j}",
                )(x, train)
                done += 1
        x = conv_norm(x, 4 * x.shape[-1], f"features_{len(self.stages) + 1}", size=1)
        # The first of them comes before the first stride: half the size.
        maps = [*maps[1:], x]
        logits = head_of(self, x, train, "classifier_1")
        return Output(logits, {f"stage{i}": y for i, y in enumerate(maps, 1)})


def channels(wanted: float) -> int:
    """The nearest multiple of 8, unless that is less than 90 % of `wanted`."""
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


def efficientnet_b0(num_outputs: int, dtype=jnp.float32, **kwargs) -> EfficientNet:
    """5,288,548 parameters with 3 channels and 1000 outputs."""
    return EfficientNet(num_outputs, dtype, **kwargs)


def efficientnet_b1(num_outputs: int, dtype=jnp.float32, **kwargs) -> EfficientNet:
    """7,794,184 parameters with 3 channels and 1000 outputs."""
    return EfficientNet(num_outputs, dtype, depth=1.1, **kwargs)


def efficientnet_b2(num_outputs: int, dtype=jnp.float32, **kwargs) -> EfficientNet:
    """9,109,994 parameters with 3 channels and 1000 outputs."""
    return EfficientNet(num_outputs, dtype, width=1.1, depth=1.2, **kwargs)


def efficientnet_b3(num_outputs: int, dtype=jnp.float32, **kwargs) -> EfficientNet:
    """12,233,232 parameters with 3 channels and 1000 outputs."""
    return EfficientNet(num_outputs, dtype, width=1.2, depth=1.4, **kwargs)


def efficientnet_b4(num_outputs: int, dtype=jnp.float32, **kwargs) -> EfficientNet:
    """19,341,616 parameters with 3 channels and 1000 outputs."""
    return EfficientNet(num_outputs, dtype, width=1.4, depth=1.8, **kwargs)
