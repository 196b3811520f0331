"""VGG-16/19 (Simonyan and Zisserman 2015, arXiv 1409.1556), names as in torchvision."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import Conv, Dense, Output, dropout, of_style, rematerialised
from cxr_jax.models.pooling import max_pool
from tfds_builders.common.errors import InputError

WIDTHS = (64, 128, 256, 512, 512)
SIDE = 7  # of the map that is flattened

# Order of the axes of a map [B, H, W, C] when it is flattened.
FLATTENED = {"torch": (0, 3, 1, 2), "keras": (0, 1, 2, 3)}


class VGG(nn.Module):
    """Stages of 3 x 3 convolutions and max-pool 2, hidden dense layers, one more.

    Features are the last maps of the stages, before pooling.
    depths: convolutions of each stage.
    hidden: widths of the dense layers on the map averaged to 7 x 7 and flattened, the
      published form; (): none, and `pool` and the head of the other models.
    style: 'keras' flattens by rows, columns, channels; 'torch' by channels first.
    dropout: after each hidden layer (the paper's is 0.5), or before the head.
    remat: compute each stage again in the backward pass, to save memory.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    depths: Sequence[int] = (2, 2, 3, 3, 3)
    hidden: Sequence[int] = (4096, 4096)
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "torch"
    scheme: str = "he_fan_out"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        axes = of_style(FLATTENED, self.style, "VGG")
        x, features, index = images, {}, 0
        for i, (width, depth) in enumerate(zip(WIDTHS, self.depths, strict=True), 1):
            stage = partial(_stage, width=width, depth=depth, index=index)
            stage = rematerialised(stage) if self.remat else stage
            x = features[f"stage{i}"] = stage(self, x, train)
            x = max_pool(x, size=2, stride=2)
            index += 2 * depth + 1  # a relu after each, and the pooling
        if not self.hidden:
            return Output(head_of(self, x, train, "classifier"), features)
        if self.pool != "global":
            raise InputError(
                "config.model.pool",
                f"is {self.pool!r}, and the hidden layers flatten the whole map",
                "remove them with config.model.hidden = (), or set pool='global'",
            )
        x = adaptive_pool(x, SIDE).transpose(axes).reshape(x.shape[0], -1)
        for i, width in enumerate(self.hidden):
            x = Dense(width, dtype=self.dtype, name=f"classifier_{3 * i}")(x)
            x = dropout(nn.relu(x), self.dropout, train=train, name=f"dropout{i}")
        name = f"classifier_{3 * len(self.hidden)}"
        x = x.astype(jnp.float32)
        logits = Dense(self.num_outputs, dtype=jnp.float32, name=name)(x)
        return Output(logits, features)


def _stage(vgg: VGG, x, train: bool, *, width: int, depth: int, index: int):
    """`depth` convolutions to `width` channels; torchvision counts the relus too."""
    for j in range(depth):
        name = f"features_{index + 2 * j}"
        x = nn.relu(Conv(width, padding=1, dtype=vgg.dtype, name=name)(x))
    return x


def adaptive_pool(x, side: int):
    """Average of side x side windows, [B, side, side, C], in the type of x.

    PyTorch's windows: whole pixels, which overlap where the size is no multiple of
    `side` (pooling.area_weights cuts pixels instead).
    """
    down, across = (
        jnp.asarray(_windows(length, side), x.dtype) for length in x.shape[1:3]
    )
    x = jnp.einsum("rh,bhwc->brwc", down, x, precision="highest")
    return jnp.einsum("sw,brwc->brsc", across, x, precision="highest")


def _windows(length: int, bins: int) -> np.ndarray:
    """[bins, length] weights; window i begins and ends with the pixels that it cuts."""
    edges = np.arange(bins + 1) * length
    first, last = edges[:-1] // bins, -(-edges[1:] // bins)
    pixels = np.arange(length)
    inside = (pixels >= first[:, None]) & (pixels < last[:, None])
    return inside / inside.sum(axis=1, keepdims=True)


def vgg16(num_outputs: int, dtype=jnp.float32, **kwargs) -> VGG:
    """138,357,544 parameters with 3 channels and 1000 outputs."""
    return VGG(num_outputs, dtype, **kwargs)


def vgg19(num_outputs: int, dtype=jnp.float32, **kwargs) -> VGG:
    """143,667,240 parameters with 3 channels and 1000 outputs."""
    return VGG(num_outputs, dtype, depths=(2, 2, 4, 4, 4), **kwargs)
