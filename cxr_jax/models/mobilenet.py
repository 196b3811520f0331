"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381), names as in torchvision."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
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
        """[B, H, W, C] -> (what the block gives, the wide map at the size of x)."""

        def norm(y, name):
            norms = NORMS[self.style]
            return batch_norm(y, train=train, name=name, dtype=self.dtype, **norms)

        settings = {"use_bias": False, "dtype": self.dtype}
        y, i = x, 0
        if self.expand > 1:
            y = Conv(x.shape[-1] * self.expand, size=1, name="conv_0_0", **settings)(y)
            y, i = relu6(norm(y, "conv_0_1")), 1
        wide = y
        y = DepthwiseConv(
            stride=self.stride,
            padding=PADDING[self.style],
            name=f"conv_{i}_0",
            **settings,
        )(y)
        y = relu6(norm(y, f"conv_{i}_1"))
        y = Conv(self.width, size=1, name=f"conv_{i + 1}", **settings)(y)
        y = norm(y, f"conv_{i + 2}")
        return (x + y if x.shape == y.shape else y), wide


class Maps(NamedTuple):
    """Maps of the trunk, finest first.

    Attributes:
      stages: the last ones at 1/4, 1/8, 1/16 and 1/32 of the size.
      wide: those that the blocks with a stride widen, at 1/2, 1/4, 1/8 and 1/16:
        after relu6, six times the channels of the stage before them.
    """

    stages: list[jax.Array]
    wide: list[jax.Array]


def trunk(model: nn.Module, images, train: bool) -> Maps:
    """All but pool and head, with the settings of `model`, in whose compact it is called."""
    norms = of_style(NORMS, model.style, "MobileNetV2")

    def conv_norm(x, width, conv, bn, **settings):
        x = Conv(width, use_bias=False, dtype=model.dtype, name=conv, **settings)(x)
        x = batch_norm(x, train=train, name=bn, dtype=model.dtype, **norms)
        return relu6(x)

    block = rematerialised(Block) if model.remat else Block
    names = ("features_0_0", "features_0_1")
    padding = PADDING[model.style]
    x = conv_norm(images, model.stem, *names, stride=2, padding=padding)
    maps, wide, index = [], [], 0
    for stage in model.stages:
        for i in range(stage.repeats):
            index += 1
            stride = stage.stride if i == 0 else 1
            before = x
            x, widened = block(
                stage.width,
                stage.expand,
                stride,
                model.dtype,
                model.style,
                name=f"features_{index}",
            )(x, train)
            if stride == 2:
                maps.append(before)
                wide.append(widened)
    name = f"features_{index + 1}"
    x = conv_norm(x, model.last, f"{name}_0", f"{name}_1", size=1)
    # The first of them comes before the first stride: half the size, 16 channels.
    return Maps([*maps[1:], x], wide)


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
        maps = trunk(self, images, train).stages
        logits = head_of(self, maps[-1], train, "classifier_1")
        return Output(logits, {f"stage{i}": y for i, y in enumerate(maps, 1)})


def mobilenet_v2(num_outputs: int, dtype=jnp.float32, **kwargs) -> MobileNet:
    """3,504,872 parameters with 3 channels and 1000 outputs."""
    return MobileNet(num_outputs, dtype, **kwargs)
