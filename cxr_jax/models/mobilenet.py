"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381), names as in torchvision."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import (
    Conv,
    DepthwiseConv,
    Output,
    batch_norm,
    of_style,
    rematerialised,
)

NORMS = {
    "torch": {"momentum": 0.9, "epsilon": 1e-5},
    "keras": {"momentum": 0.999, "epsilon": 1e-3},
}

# With a stride Keras pads as TensorFlow does, more after than before.
PADDING = {"torch": 1, "keras": "SAME"}


class Stage(NamedTuple):
    """`repeats` blocks of `width` channels; the first has the stride."""

    expand: int
    width: int
    repeats: int
    stride: int


# Table 2 of the paper.
STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)


def relu6(x):
    return jnp.clip(x, 0, 6)


class Block(nn.Module):
    """An inverted residual: 1 x 1 to more channels, depthwise 3 x 3, 1 x 1 to few."""

    width: int
    expand: int
    stride: int
    dtype: Any
    style: str

    @nn.compact
    def __call__(self, x, train: bool):
        def norm(y, name):
            norms = NORMS[self.style]
            return batch_norm(y, train=train, name=name, dtype=self.dtype, **norms)

        settings = {"use_bias": False, "dtype": self.dtype}
        y, i = x, 0
        if self.expand > 1:
            y = Conv(x.shape[-1] * self.expand, size=1, name="conv_0_0", **settings)(y)
            y, i = relu6(norm(y, "conv_0_1")), 1
        y = DepthwiseConv(
            stride=self.stride,
            padding=PADDING[self.style],
            name=f"conv_{i}_0",
            **settings,
        )(y)
        y = relu6(norm(y, f"conv_{i}_1"))
        y = Conv(self.width, size=1, name=f"conv_{i + 1}", **settings)(y)
        y = norm(y, f"conv_{i + 2}")
        return x + y if x.shape == y.shape else y


class MobileNet(nn.Module):
    """Stem, inverted residuals, 1 x 1 to `last` channels, dense 'classifier_1'.

    Features are the last maps at 1/4, 1/8, 1/16 and 1/32 of the size.
    pool, dropout: of the head, see heads.head; the paper's dropout is 0.2.
    remat: compute each block again in the backward pass, to save memory.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    stages: Sequence[Stage] = STAGES
    stem: int = 32
    last: int = 1280
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "torch"
    scheme: str = "he_fan_out"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        norms = of_style(NORMS, self.style, "MobileNetV2")

        def conv_norm(x, width, conv, bn, **settings):
            x = Conv(width, use_bias=False, dtype=self.dtype, name=conv, **settings)(x)
            x = batch_norm(x, train=train, name=bn, dtype=self.dtype, **norms)
            return relu6(x)

        block = rematerialised(Block) if self.remat else Block
        names = ("features_0_0", "features_0_1")
        padding = PADDING[self.style]
        x = conv_norm(images, self.stem, *names, stride=2, padding=padding)
        maps, index = [], 0
        for stage in self.stages:
            for i in range(stage.repeats):
                index += 1
                stride = stage.stride if i == 0 else 1
                if stride == 2:
                    maps.append(x)
                x = block(
                    stage.width,
                    stage.expand,
                    stride,
                    self.dtype,
                    self.style,
                    name=f"features_{index}",
                )(x, train)
        name = f"features_{index + 1}"
        x = conv_norm(x, self.last, f"{name}_0", f"{name}_1", size=1)
        # The first of them comes before the first stride: half the size, 16 channels.
        maps = [*maps[1:], x]
        logits = head_of(self, x, train, "classifier_1")
        return Output(logits, {f"stage{i}": y for i, y in enumerate(maps, 1)})


def mobilenet_v2(num_outputs: int, dtype=jnp.float32, **kwargs) -> MobileNet:
    """3,504,872 parameters with 3 channels and 1000 outputs."""
    return MobileNet(num_outputs, dtype, **kwargs)
