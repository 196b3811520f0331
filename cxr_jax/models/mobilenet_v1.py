"""MobileNetV1 (Howard et al. 2017, arXiv 1704.04861), names as in Keras."""

from collections.abc import Sequence
from functools import partial
from typing import Any

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
from cxr_jax.models.mobilenet import relu6
from cxr_jax.models.pooling import pooled_map

# Table 1 of the paper: channels and stride of each depthwise separable convolution.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
BLOCKS += ((512, 1),) * 5 + ((1024, 2), (1024, 1))
NORMS = {"keras": {"momentum": 0.99, "epsilon": 1e-3}}


class MobileNetV1(nn.Module):
    """Stem, depthwise separable convolutions ('conv_dw_1', 'conv_pw_1', ...), dense.

    Features are the last maps at 1/4, 1/8, 1/16 and 1/32 of the size.
    alpha: factor on every number of channels.
    hidden: widths of dense layers with relu between pooling and the last, 'classifier'.
    pool, dropout: of the head, see heads.head.
    remat: compute each block again in the backward pass, to save memory.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    blocks: Sequence[tuple[int, int]] = BLOCKS
    alpha: float = 1.0
    hidden: Sequence[int] = ()
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "keras"
    scheme: str = "he_fan_out"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        stem = Conv(
            int(32 * self.alpha),
            stride=2,
            use_bias=False,
            dtype=self.dtype,
            name="conv1",
        )
        x = _norm_relu(self, stem(images), "conv1_bn", train)
        maps = []
        for i, (width, stride) in enumerate(self.blocks, 1):
            if stride == 2:
                maps.append(x)
            width = int(width * self.alpha)
            block = partial(_block, i=i, width=width, stride=stride)
            x = (rematerialised(block) if self.remat else block)(self, x, train)
        # The first of them comes before the first stride: half the size.
        maps = [*maps[1:], x]
        if self.hidden:
            x = pooled_map(x, self.pool)
        for i, width in enumerate(self.hidden, 1):
            x = nn.relu(Conv(width, size=1, dtype=self.dtype, name=f"dense{i}")(x))
        logits = head_of(self, x, train, "classifier")
        return Output(logits, {f"stage{i}": y for i, y in enumerate(maps, 1)})


def _block(net: MobileNetV1, x, train: bool, *, i: int, width: int, stride: int):
    """Depthwise 3 x 3, then 1 x 1 to `width` channels; norm and relu6 after both."""
    settings = {"use_bias": False, "dtype": net.dtype}
    # With a stride Keras pads below and on the right, for sizes even and odd.
    padding = 1 if stride == 1 else ((0, 1), (0, 1))
    x = DepthwiseConv(stride=stride, padding=padding, name=f"conv_dw_{i}", **settings)(
        x
    )
    x = _norm_relu(net, x, f"conv_dw_{i}_bn", train)
    x = Conv(width, size=1, name=f"conv_pw_{i}", **settings)(x)
    return _norm_relu(net, x, f"conv_pw_{i}_bn", train)


def _norm_relu(net: MobileNetV1, x, name: str, train: bool):
    settings = of_style(NORMS, net.style, "MobileNetV1")
    return relu6(batch_norm(x, train=train, name=name, dtype=net.dtype, **settings))


def mobilenet_v1(num_outputs: int, dtype=jnp.float32, **kwargs) -> MobileNetV1:
    """4,253,864 parameters and statistics with 3 channels and 1000 outputs."""
    return MobileNetV1(num_outputs, dtype, **kwargs)
