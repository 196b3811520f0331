"""Pools: the largest or the average of windows, tiles, and equal parts of a map."""

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cxr_jax.models.convolution import is_plain
from cxr_jax.models.windows import spread, windows
from tfds_builders.common.errors import InputError


def max_pool(x, *, size: int, stride: int, padding: int = 0):
    """Max pooling. Padding is with zeros: exact for x >= 0 (after a relu) only.

    Of equal values in a window the first gets the gradient. Written in slices, but in
    its plain form: XLA:CPU is 5 times slower with a reduce_window, and 20 times with
    its gradient.
    """
    if padding:
        x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    if is_plain():
        sides, steps = (1, size, size, 1), (1, stride, stride, 1)
        # JAX knows a maximum, and its derivative, by a constant that numpy holds.
        lowest = np.array(-np.inf, x.dtype)
        return lax.reduce_window(x, lowest, lax.max, sides, steps, "VALID")
    return _max_pool(x, size, stride)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _max_pool(x, size, stride):
    return reduce(jnp.maximum, windows(x, size, stride).values())


def _max_pool_forward(x, size, stride):
    y, *others = windows(x, size, stride).values()
    first = jnp.zeros(y.shape, jnp.int16)
    for place, tap in enumerate(others, 1):
        first = jnp.where(tap > y, jnp.int16(place), first)
        y = jnp.maximum(y, tap)
    return y, (first, x)


def _max_pool_backward(size, stride, kept, dy):
    first, x = kept
    # Else the CPU computes dy, and all that it comes from, again for every tap.
    first, dy = lax.optimization_barrier((first, dy))
    taps = {
        ij: jnp.where(first == place, dy, jnp.zeros_like(dy))
        for place, ij in enumerate(windows(x, size, stride))
    }
    return (spread(taps, stride, x.shape),)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def avg_pool(x, *, size: int):
    """Average over size x size tiles; rows and columns left over are dropped."""
    if is_plain():
        sides, zero = (1, size, size, 1), np.zeros((), x.dtype)
        sums = lax.reduce_window(x, zero, lax.add, sides, sides, "VALID")
        return sums / size**2
    return tiles(x, size).mean(axis=(2, 4))


def tiles(x, size: int):
    """[B, h, size, w, size, C]: rows and columns left over are dropped."""
    batch, height, width, channels = x.shape
    rows, columns = height // size, width // size
    x = x[:, : rows * size, : columns * size]
    return x.reshape(batch, rows, size, columns, size, channels)


def area_weights(length: int, bins: int) -> np.ndarray:
    """[bins, length] weights that average `length` pixels in `bins` equal parts.

    A pixel cut by a border counts with the part of it that lies inside, so the bins
    are equal in area for any length, also one below the number of bins.
    """
    edges = np.arange(bins + 1) * (length / bins)
    pixels = np.arange(length)
    left = np.maximum(edges[:-1, None], pixels)
    right = np.minimum(edges[1:, None], pixels + 1)
    return np.clip(right - left, 0, None) * (bins / length)


def grid_pool(x, *, rows: int = 3, columns: int = 2):
    """Average over a grid of equal parts: [B, H, W, C] -> [B, rows * columns, C].

    Parts run down the first column, then down the next: with 3 x 2 that is the zone
    order A, B, C, D, E, F. Computed in float32.
    """
    down = jnp.asarray(area_weights(x.shape[1], rows), jnp.float32)
    across = jnp.asarray(area_weights(x.shape[2], columns), jnp.float32)
    x = x.astype(jnp.float32)
    # HIGHEST: by default accelerators round the factors of a product to fewer bits.
    x = jnp.einsum("rh,bhwc->brwc", down, x, precision=lax.Precision.HIGHEST)
    x = jnp.einsum("sw,brwc->bsrc", across, x, precision=lax.Precision.HIGHEST)
    return x.reshape(x.shape[0], rows * columns, x.shape[-1])


def pooled_map(x, pool: str):
    """What `heads.head` averages, as a float32 map: [B, 1, 1, C] or [B, 3, 2, C].

    For models with layers between pooling and head, which leaves it as it is.

    Raises:
      InputError: the pool flattens tiles of the map, which is not a map again.
    """
    if pool == "tiles":
        raise InputError(
            "config.model.pool",
            "is 'tiles', and this model has layers between pooling and head",
            "choose 'global' or 'grid', or another model",
        )
    if pool in ("global", "projection"):
        return x.astype(jnp.float32).mean(axis=(1, 2), keepdims=True)
    parts = grid_pool(x)
    return parts.reshape(x.shape[0], 2, 3, x.shape[-1]).swapaxes(1, 2)
