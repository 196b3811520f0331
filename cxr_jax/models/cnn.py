"""A small plain CNN: for small images, small data and small machines."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import Conv, Output, batch_norm, rematerialised
from cxr_jax.models.pooling import max_pool


class CNN(nn.Module):
    """Stages of 3 x 3 convolution, batch norm, relu; max-pool 2 between the stages.

    widths: channels of each stage; the last map is 2 ** (len(widths) - 1) times
      smaller than the image.
    convs: convolutions per stage.
    stem_stride: stride of the first convolution; 2 makes it four times cheaper.
    pool: 'global', or 'grid' (3 x 2 parts) for scores per zone.
    dropout: rate before the dense layer.
    remat: compute each stage again in the backward pass, to save memory.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    widths: Sequence[int] = (16, 32, 64, 128)
    convs: int = 1
    stem_stride: int = 1
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    scheme: str = "he_fan_in"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        x, features = images, {}
        for i, width in enumerate(self.widths, 1):
            if i > 1:
                x = max_pool(x, size=2, stride=2)
            stage = partial(_stage, i=i, width=width)
            stage = rematerialised(stage) if self.remat else stage
            x = stage(self, x, train)
            features[f"stage{i}"] = x
        logits = head_of(self, x, train, "fc")
        return Output(logits, features)


def _stage(cnn: CNN, x, train: bool, *, i: int, width: int):
    """`convs` convolutions to `width` channels, each with batch norm and relu."""
    for j in range(1, cnn.convs + 1):
        x = Conv(
            width,
            stride=cnn.stem_stride if i == j == 1 else 1,
            padding=1,
            use_bias=False,
            dtype=cnn.dtype,
            name=f"stage{i}_conv{j}",
        )(x)
        x = batch_norm(x, train=train, name=f"stage{i}_bn{j}", dtype=cnn.dtype)
        x = nn.relu(x)
    return x
