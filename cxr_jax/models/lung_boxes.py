"""The boxes of both lungs in a soft mask, their zones, and averages over these.

Everything is a sum, a minimum or a cumulative sum, so it is compiled with the model and
exported with it. Positions are shares of the image, 0 to 1, from its top and left.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

HIGHEST = lax.Precision.HIGHEST  # a GPU would round to TF32

ROWS = 3  # zones of a lung, from above
# The share of the lungs that lies outside of the box on each side: specks of the mask.
OUTSIDE = 0.01
# Both lungs meet between these shares of their mass from the left, and where there is
# little of it: the columns there count exp(-VALLEY * their share of the fullest).
BETWEEN = 0.2
VALLEY = 20.0
# Added to a mask without lungs, which then has the boxes of a mask that is all lung.
FAINT = 1e-4
# Weight of a pixel within a zone that is not lung, against one that is.
NOT_LUNG = 1e-3


class Boxes(NamedTuple):
    """Both lungs have the same top and bottom, as one may be lost in its consolidation.

    Attributes:
      top, bottom: [B].
      left, right: [B, 2], sides of the lung on the image's left and of that on its right.
    """

    top: jax.Array
    bottom: jax.Array
    left: jax.Array
    right: jax.Array


def quantile(mass: jax.Array, share: float) -> jax.Array:
    """Where `share` of the mass [B, n] lies before: [B], in pixels, 0 to n."""
    before = jnp.cumsum(mass, axis=-1) - mass
    wanted = share * mass.sum(axis=-1, keepdims=True)
    passed = (wanted - before) / jnp.maximum(mass, 1e-12)
    return jnp.clip(passed, 0, 1).sum(axis=-1)


def middle(columns: jax.Array) -> jax.Array:
    """Between both lungs: [B], in pixels. columns: the mass of each, [B, n].

    Not the median of the mass, which lies in the larger lung. Where one lung is not seen
    at all it lies at the side of the other.
    """
    pixels = jnp.arange(columns.shape[-1], dtype=jnp.float32)[None] + 0.5
    first = quantile(columns, BETWEEN)[:, None]
    last = quantile(columns, 1 - BETWEEN)[:, None]
    inside = jnp.clip(pixels - first + 0.5, 0, 1) * jnp.clip(last - pixels + 0.5, 0, 1)
    empty = jnp.exp(-VALLEY * columns / columns.max(axis=-1, keepdims=True))
    weights = inside * empty + 1e-12
    return (weights * pixels).sum(axis=-1) / weights.sum(axis=-1)


def boxes(lung: jax.Array) -> Boxes:
    """From the probability of lung [B, h, w]; what is below a half counts as outside."""
    lung = jnp.maximum(2 * lung - 1, 0) + FAINT
    height, width = lung.shape[1:]
    rows, columns = lung.sum(axis=2), lung.sum(axis=1)
    between = middle(columns)[:, None]
    first = jnp.clip(between - jnp.arange(width)[None], 0, 1)
    sides = [columns * first, columns * (1 - first)]
    edges = [
        jnp.concatenate([quantile(side, share)[:, None] for side in sides], axis=1)
        / width
        for share in (OUTSIDE, 1 - OUTSIDE)
    ]
    return Boxes(
        quantile(rows, OUTSIDE) / height,
        quantile(rows, 1 - OUTSIDE) / height,
        *edges,
    )


def cover(low: jax.Array, high: jax.Array, count: int) -> jax.Array:
    """Weights [..., count] that average the pixels between two positions [...].

    A pixel that is cut counts with the part of it that lies inside.
    """
    pixels = jnp.arange(count, dtype=jnp.float32)
    low, high = low[..., None] * count, high[..., None] * count
    pixels = pixels.reshape((1,) * (low.ndim - 1) + (count,))
    inside = jnp.minimum(pixels + 1, high) - jnp.maximum(pixels, low)
    inside = jnp.maximum(inside, 0)
    return inside / jnp.maximum(inside.sum(axis=-1, keepdims=True), 1e-6)


def zones(found: Boxes, height: int, width: int) -> jax.Array:
    """Weights [B, 6, height, width] that average over zones A to F.

    Thirds of the height of the box, down the lung on the image's left, then down the
    other.
    """
    third = (found.bottom - found.top)[:, None] / ROWS
    begin = found.top[:, None] + third * jnp.arange(ROWS)[None]
    down = cover(begin, begin + third, height)
    across = cover(found.left, found.right, width)
    weights = across[:, :, None, None, :] * down[:, None, :, :, None]
    return weights.reshape(len(down), 2 * ROWS, height, width)


def of_lung(weights: jax.Array, lung: jax.Array) -> jax.Array:
    """Those weights for the lung alone. lung: its probability, [B, height, width]."""
    weights = weights * (lung[:, None] + NOT_LUNG)
    return weights / jnp.maximum(weights.sum(axis=(2, 3), keepdims=True), 1e-12)


def average(weights: jax.Array, x: jax.Array) -> jax.Array:
    """[B, Z, h, w] and [B, h, w, C] -> [B, Z, C] float32."""
    x = x.astype(jnp.float32)
    return jnp.einsum("bzhw,bhwc->bzc", weights, x, precision=HIGHEST)
