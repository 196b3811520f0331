"""ResNet-18/34/50/101/152 (He et al. 2016, arXiv 1512.03385), names as in torchvision.

In the style of 'torch' the stride sits in the 3 x 3 convolution of a bottleneck (v1.5);
in that of 'keras' in its first 1 x 1 (v1, the paper's), and convolutions have biases.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import Conv, Output, batch_norm, of_style, rematerialised
from cxr_jax.models.pooling import max_pool
from tfds_builders.common.errors import InputError

NORMS = {
    "torch": {"momentum": 0.9, "epsilon": 1e-5},
    "keras": {"momentum": 0.99, "epsilon": 1.001e-5},
}


class Block(nn.Module):
    """A residual block: two 3 x 3 convolutions, or a 1-3-1 bottleneck (x 4 wider)."""

    width: int
    stride: int
    bottleneck: bool
    dtype: Any
    style: str = "torch"

    @nn.compact
    def __call__(self, x, train: bool):
        norms = of_style(NORMS, self.style, "ResNet")
        keras = self.style == "keras"

        def conv_norm(x, width, size, stride, conv, bn):
            x = Conv(
                width,
                size=size,
                stride=stride,
                padding=size // 2,
                use_bias=keras,
                dtype=self.dtype,
                name=conv,
            )(x)
            return batch_norm(x, train=train, name=bn, dtype=self.dtype, **norms)

        if self.bottleneck:
            strides = (self.stride, 1) if keras else (1, self.stride)
            layers = ((self.width, 1, strides[0]), (self.width, 3, strides[1]))
            layers += ((4 * self.width, 1, 1),)
        else:
            layers = ((self.width, 3, self.stride), (self.width, 3, 1))
        y = x
        for i, (width, size, stride) in enumerate(layers, 1):
            y = conv_norm(y, width, size, stride, f"conv{i}", f"bn{i}")
            if i < len(layers):
                y = nn.relu(y)
        if x.shape[-1] != y.shape[-1] or self.stride != 1:
            names = "downsample_conv", "downsample_bn"
            x = conv_norm(x, y.shape[-1], 1, self.stride, *names)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Stem, four stages of residual blocks ('layer1'..'layer4'), dense layer 'fc'.

    pool, dropout: of the head, see heads.head.
    remat: compute each block again in the backward pass, to save memory.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    depths: Sequence[int] = (2, 2, 2, 2)
    bottleneck: bool = False
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "torch"
    scheme: str = "he_fan_out"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        norms = of_style(NORMS, self.style, "ResNet")
        if self.style == "keras" and not self.bottleneck:
            raise InputError(
                "config.model.style",
                "is 'keras', in which ResNet-18 and -34 do not exist",
                "set --config.model.style=torch, or choose resnet50, 101 or 152",
            )
        x = Conv(
            64,
            size=7,
            stride=2,
            padding=3,
            use_bias=self.style == "keras",
            dtype=self.dtype,
            name="conv1",
        )(images)
        x = batch_norm(x, train=train, name="bn1", dtype=self.dtype, **norms)
        x = nn.relu(x)
        x = max_pool(x, size=3, stride=2, padding=1)
        features = {}
        block = rematerialised(Block) if self.remat else Block
        for i, depth in enumerate(self.depths, 1):
            for j in range(depth):
                x = block(
                    width=64 * 2 ** (i - 1),
                    stride=2 if i > 1 and j == 0 else 1,
                    bottleneck=self.bottleneck,
                    dtype=self.dtype,
                    style=self.style,
                    name=f"layer{i}_{j}",
                )(x, train)
            features[f"stage{i}"] = x
        logits = head_of(self, x, train, "fc")
        return Output(logits, features)


def resnet18(num_outputs: int, dtype=jnp.float32, **kwargs) -> ResNet:
    """11,689,512 parameters with 3 channels and 1000 outputs."""
    return ResNet(num_outputs, dtype, depths=(2, 2, 2, 2), **kwargs)


def resnet34(num_outputs: int, dtype=jnp.float32, **kwargs) -> ResNet:
    """21,797,672 parameters with 3 channels and 1000 outputs."""
    return ResNet(num_outputs, dtype, depths=(3, 4, 6, 3), **kwargs)


def resnet50(num_outputs: int, dtype=jnp.float32, **kwargs) -> ResNet:
    """25,557,032 parameters with 3 channels and 1000 outputs."""
    return ResNet(num_outputs, dtype, depths=(3, 4, 6, 3), bottleneck=True, **kwargs)


def resnet101(num_outputs: int, dtype=jnp.float32, **kwargs) -> ResNet:
    """44,549,160 parameters with 3 channels and 1000 outputs."""
    return ResNet(num_outputs, dtype, depths=(3, 4, 23, 3), bottleneck=True, **kwargs)


def resnet152(num_outputs: int, dtype=jnp.float32, **kwargs) -> ResNet:
    """60,192,808 parameters with 3 channels and 1000 outputs."""
    return ResNet(num_outputs, dtype, depths=(3, 8, 36, 3), bottleneck=True, **kwargs)
