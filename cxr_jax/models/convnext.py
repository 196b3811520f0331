"""ConvNeXt-Tiny (Liu et al. 2022, arXiv 2201.03545), names as in torchvision."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import (
    Conv,
    Dense,
    DepthwiseConv,
    Output,
    drop_path,
    gelu,
    layer_norm,
    of_style,
    rematerialised,
)
from cxr_jax.models.pooling import pooled_map

# torchvision and Keras have the same network under other names.
STYLES = {"torch": None, "keras": None}


class Block(nn.Module):
    """Depthwise 7 x 7, layer norm, dense to 4 x, gelu, dense back; scaled and added."""

    drop_path: float
    dtype: Any

    @nn.compact
    def __call__(self, x, train: bool):
        width = x.shape[-1]
        y = DepthwiseConv(7, padding=3, dtype=self.dtype, name="block_0")(x)
        y = layer_norm(y, name="block_2", dtype=self.dtype)
        y = gelu(Dense(4 * width, dtype=self.dtype, name="block_3")(y))
        y = Dense(width, dtype=self.dtype, name="block_5")(y)
        scale = self.param(
            "layer_scale", nn.initializers.constant(1e-6), (width,), jnp.float32
        )
        y = y * scale.astype(self.dtype).reshape(1, 1, 1, -1)
        return x + drop_path(y, self.drop_path, train=train, name="drop_path")


class ConvNeXt(nn.Module):
    """Stem of 4 x 4 patches, four stages of blocks, layer norm, dense 'classifier_2'.

    Features are the outputs of the stages.
    drop_path: of the last block (stochastic depth); linear from 0 in the first.
    pool, dropout: of the head, see heads.head; the norm comes after pooling.
    remat: compute each block again in the backward pass, to save memory.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    depths: Sequence[int] = (3, 3, 9, 3)
    widths: Sequence[int] = (96, 192, 384, 768)
    drop_path: float = 0.1
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "torch"
    scheme: str = "truncated_normal"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        of_style(STYLES, self.style, "ConvNeXt")

        def patches(x, width, size, name):
            settings = {"stride": size, "padding": "VALID", "dtype": self.dtype}
            return Conv(width, size=size, name=name, **settings)(x)

        def norm(x, name):
            return layer_norm(x, name=name, dtype=self.dtype)

        x = norm(patches(images, self.widths[0], 4, "features_0_0"), "features_0_1")
        features, done = {}, 0
        block = rematerialised(Block) if self.remat else Block
        for i, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            if i:
                x = norm(x, f"features_{2 * i}_0")
                x = patches(x, width, 2, f"features_{2 * i}_1")
            for j in range(depth):
                rate = self.drop_path * done / max(1, sum(self.depths) - 1)
                name = f"features_{2 * i + 1}_{j}"
                x = block(rate, self.dtype, name=name)(x, train)
                done += 1
            features[f"stage{i + 1}"] = x
        x = layer_norm(pooled_map(x, self.pool), name="classifier_0", dtype=jnp.float32)
        logits = head_of(self, x, train, "classifier_2")
        return Output(logits, features)


def convnext_tiny(num_outputs: int, dtype=jnp.float32, **kwargs) -> ConvNeXt:
    """28,589,128 parameters with 3 channels and 1000 outputs."""
    return ConvNeXt(num_outputs, dtype, **kwargs)
