"""Images and feature maps seen through a frame, and the network that finds it.

Spatial transformer: Jaderberg et al. 2015, arXiv 1506.02025. Frames are those of
`cxr_jax.ops.frame`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax.models.layers import Conv, Dense, batch_norm
from cxr_jax.models.pooling import max_pool
from cxr_jax.ops.frame import IDENTITY
from cxr_jax.ops.geometry import taps

# Side of the mask that the localiser looks at, whatever that of the image.
SIDE = 64


def sample(x: jax.Array, frame: jax.Array, shape: tuple[int, int] | None = None):
    """Bilinear samples of x [B, H, W, C] at a frame [B, 2, 3]: [B, *shape, C].

    Equals PyTorch's affine_grid and grid_sample with align_corners=False: 0 outside the
    image. Differentiable in both. shape: (H, W) of x unless given. Positions and weights
    are float32 whatever the type of x.
    """
    batch, height, width, channels = x.shape
    rows, columns = shape or (height, width)
    down = jnp.asarray(_centres(rows)).reshape(1, rows, 1)
    across = jnp.asarray(_centres(columns)).reshape(1, 1, columns)
    part = frame.astype(jnp.float32)[:, :, :, None, None]
    to_x, to_y = (part[:, i, 0] * across + part[:, i, 1] * down + part[:, i, 2]
                  for i in (0, 1))  # fmt: skip
    flat = x.reshape(batch, height * width, channels)
    total = jnp.zeros((), x.dtype)
    for i, weight_y in taps(((to_y + 1) * height - 1) / 2, height, "zero"):
        for j, weight_x in taps(((to_x + 1) * width - 1) / 2, width, "zero"):
            index = (i * width + j).reshape(batch, -1, 1)
            pixels = jnp.take_along_axis(flat, index, axis=1, mode="promise_in_bounds")
            weight = (weight_y * weight_x).astype(x.dtype).reshape(batch, -1, 1)
            total += weight * pixels
    return total.reshape(batch, rows, columns, channels)


def resize(x: jax.Array, shape: tuple[int, int]):
    """Bilinear, antialiased when smaller: [B, H, W, C] -> [B, *shape, C]."""
    if x.shape[1:3] == tuple(shape):
        return x
    return jax.image.resize(x, (len(x), *shape, x.shape[3]), "linear")


def _centres(count: int) -> np.ndarray:
    return ((2 * np.arange(count) + 1) / count - 1).astype(np.float32)


class Localiser(nn.Module):
    """From the probability of lung [B, h, w, 1] to the frame of the lungs [B, 2, 3].

    Four strided convolutions and two dense layers; the identity before any training.
    """

    widths: Sequence[int] = (16, 32, 64, 64)
    hidden: int = 64
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, lung, train: bool):
        x = resize(lung, (SIDE, SIDE))
        for i, width in enumerate(self.widths, 1):
            x = Conv(
                width,
                stride=2,
                padding=1,
                use_bias=False,
                dtype=self.dtype,
                name=f"conv{i}",
            )(x)
            x = nn.relu(batch_norm(x, train=train, name=f"bn{i}", dtype=self.dtype))
        return _frame(self, x, self.hidden)


class PublishedLocaliser(nn.Module):
    """That of the authors' public code: twice max-pool 2 and a 5 x 5 convolution.

    On 128 pixels of the mask, 20 channels, then 50 neurons; there is no relu between
    the convolutions. The identity before any training.
    """

    channels: int = 20
    hidden: int = 50
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, lung, train: bool):
        x = resize(lung, (2 * SIDE, 2 * SIDE))
        for i in (1, 2):
            x = max_pool(x, size=2, stride=2)
            x = Conv(
                self.channels, 5, padding="VALID", dtype=self.dtype, name=f"conv{i}"
            )(x)
        return _frame(self, x, self.hidden)


LOCALISERS = {"strided": Localiser, "published": PublishedLocaliser}


def _frame(module: nn.Module, x, hidden: int):
    """Flattened, two dense layers; called inside a compact module: [B, 2, 3]."""
    x = x.reshape(len(x), -1).astype(jnp.float32)
    x = nn.relu(Dense(hidden, name="hidden")(x))
    shape = (hidden, IDENTITY.size)
    kernel = module.param("zero_kernel", nn.initializers.zeros, shape, jnp.float32)
    bias = module.param("bias", nn.initializers.zeros, shape[1:], jnp.float32)
    # HIGHEST: a GPU would round to TF32, a quarter of a pixel in 512.
    x = jnp.matmul(x, kernel, precision=jax.lax.Precision.HIGHEST) + bias[None]
    return x.reshape(-1, *IDENTITY.shape) + jnp.asarray(IDENTITY)[None]
