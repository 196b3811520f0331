"""ResNet-50/101 V2, pre-activation (He et al. 2016, arXiv 1603.05027), as in Keras.

Names and layout are those of keras.applications: the stride sits in the last block of
a stage, and its shortcut takes every second pixel.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import Conv, Output, batch_norm, of_style, rematerialised
from cxr_jax.models.pooling import max_pool

NORMS = {"keras": {"momentum": 0.99, "epsilon": 1.001e-5}}


class Block(nn.Module):
    """Norm and relu before each convolution of a 1-3-1 bottleneck (x 4 wider)."""

    width: int
    stride: int
    widen: bool
    style: str
    dtype: Any

    @nn.compact
    def __call__(self, x, train: bool):
        settings = of_style(NORMS, self.style, "ResNet V2")

        def norm_relu(x, name):
            return nn.relu(
                batch_norm(x, train=train, name=name, dtype=self.dtype, **settings)
            )

        def conv(x, width, name, **settings):
            return Conv(width, dtype=self.dtype, name=name, **settings)(x)

        y = norm_relu(x, "preact_bn")
        if self.widen:
            x = conv(y, 4 * self.width, "0_conv", size=1, stride=self.stride)
        else:
            x = x[:, :: self.stride, :: self.stride]
        y = norm_relu(conv(y, self.width, "1_conv", size=1, use_bias=False), "1_bn")
        inner = {"stride": self.stride, "padding": 1, "use_bias": False}
        y = norm_relu(conv(y, self.width, "2_conv", **inner), "2_bn")
        return x + conv(y, 4 * self.width, "3_conv", size=1)


class ResNetV2(nn.Module):
    """Stem, four stages of blocks ('conv2_block1'...), norm and relu, dense 'fc'.

    Features are the maps at 1/4, 1/8 and 1/16 of the size before the blocks with a
    stride, and the last one after norm and relu.
    pool, dropout: of the head, see heads.head.
    remat: compute each block again in the backward pass, to save memory.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    depths: Sequence[int] = (3, 4, 6, 3)
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "keras"
    scheme: str = "he_fan_out"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        settings = of_style(NORMS, self.style, "ResNet V2")
        x = Conv(64, size=7, stride=2, padding=3, dtype=self.dtype, name="conv1_conv")(
            images
        )
        # Nothing is rectified before: the zeros around it may be the largest, as there.
        x = max_pool(x, size=3, stride=2, padding=1)
        features = {}
        block = rematerialised(Block) if self.remat else Block
        for i, depth in enumerate(self.depths, 1):
            for j in range(1, depth + 1):
                strided = j == depth and i < len(self.depths)
                if strided:
                    features[f"stage{i}"] = x
                x = block(
                    width=64 * 2 ** (i - 1),
                    stride=2 if strided else 1,
                    widen=j == 1,
                    style=self.style,
                    dtype=self.dtype,
                    name=f"conv{i + 1}_block{j}",
                )(x, train)
        x = batch_norm(x, train=train, name="post_bn", dtype=self.dtype, **settings)
        x = features[f"stage{len(self.depths)}"] = nn.relu(x)
        logits = head_of(self, x, train, "fc")
        return Output(logits, features)


def resnet50_v2(num_outputs: int, dtype=jnp.float32, **kwargs) -> ResNetV2:
    """25,613,800 parameters and statistics with 3 channels and 1000 outputs."""
    return ResNetV2(num_outputs, dtype, **kwargs)


def resnet101_v2(num_outputs: int, dtype=jnp.float32, **kwargs) -> ResNetV2:
    """44,675,560 parameters and statistics with 3 channels and 1000 outputs."""
    return ResNetV2(num_outputs, dtype, depths=(3, 4, 23, 3), **kwargs)
