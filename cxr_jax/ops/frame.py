"""Frames: where the pixels of an image lie in another, whatever the size of either.

A frame [B, 2, 3] maps (x, y, 1) of the new image to (x, y) of its source. -1 and 1 are
the outer edges: the convention of PyTorch's `affine_grid` and `grid_sample` with
align_corners=False (Jaderberg et al. 2015, arXiv 1506.02025).
"""

import jax.numpy as jnp
import numpy as np
from jax import lax

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
# Signs of a frame's entries when both images are flipped.
_MIRRORED = np.array([[1, -1, -1], [-1, 1, 1]], np.float32)
_UPSIDE_DOWN = np.array([[1, -1, 1], [-1, 1, -1]], np.float32)
_CORNERS = np.array([[-1, 1, -1, 1], [-1, -1, 1, 1], [1, 1, 1, 1]], np.float32)


def of_matrix(matrix, shape: tuple[int, int]):
    """The frame of a matrix of `geometry` [B, 2, 3], for images of `shape` (H, W)."""
    height, width = shape
    (yy, yx, y), (xy, xx, x) = (
        (row[:, 0], row[:, 1], row[:, 2]) for row in (matrix[:, 0], matrix[:, 1])
    )
    # A centre at pixel p of n lies at (2 p + 1) / n - 1.
    y = (yy * (height - 1) + yx * (width - 1) + 2 * y + 1) / height - 1
    x = (xy * (height - 1) + xx * (width - 1) + 2 * x + 1) / width - 1
    rows = (xx, xy * height / width, x), (yx * width / height, yy, y)
    return jnp.stack([jnp.stack(row, axis=1) for row in rows], axis=1)


def compose(outer, inner):
    """The frame of first `inner`, then `outer`: both [B, 2, 3]."""
    linear = _product(outer[:, :, :2], inner)
    return linear + jnp.pad(outer[:, :, 2:], ((0, 0), (0, 0), (2, 0)))


def inverse(frame):
    """The inverse frame [B, 2, 3]; not finite if the frame has no area."""
    (a, b), (c, d) = ((frame[:, i, 0], frame[:, i, 1]) for i in (0, 1))
    linear = jnp.stack([jnp.stack([d, -b], 1), jnp.stack([-c, a], 1)], 1)
    linear = linear / (a * d - b * c)[:, None, None]
    back = -_product(linear, frame[:, :, 2:])
    return jnp.concatenate([linear, back], axis=2)


def turned_over(frame, axis: int):
    """The frame when both images are flipped along `axis` of [B, H, W, C]."""
    signs = {1: _UPSIDE_DOWN, 2: _MIRRORED}[axis]
    return frame * jnp.asarray(signs, frame.dtype)[None]


def around(mask, margin: float):
    """The upright frame of all pixels above 0.5, with a `margin` on each side.

    mask: [B, H, W, 1]; without such a pixel, the whole image. margin: share of a side.
    """
    found = mask[..., 0] > 0.5
    rows = []
    for axis, (other, extent) in enumerate(((1, mask.shape[2]), (2, mask.shape[1]))):
        line = found.any(axis=other)
        first = jnp.argmax(line, axis=1)
        end = extent - jnp.argmax(line[:, ::-1], axis=1)
        first, end = (
            2 * edge.astype(jnp.float32) / extent - 1 for edge in (first, end)
        )
        half = (0.5 + margin) * (end - first)
        row = [jnp.zeros_like(half)] * 2 + [(first + end) / 2]
        row[axis] = half
        rows.append(jnp.stack(row, axis=1))
    empty = ~found.any(axis=(1, 2))[:, None, None]
    return jnp.where(empty, IDENTITY[None], jnp.stack(rows, axis=1))


def corner_distance(one, other):
    """Mean distance of the four corners [B], as a share of the image's side."""
    apart = _product(one - other, jnp.asarray(_CORNERS)[None])
    # Edges are 2 apart. The small term keeps the gradient finite at distance 0.
    return jnp.sqrt((apart**2).sum(axis=1) + 1e-12).mean(axis=1) / 2


def rotation(frame):
    """Angle of the frame's x axis [B], in degrees, for a square image."""
    return jnp.degrees(jnp.arctan2(frame[:, 1, 0], frame[:, 0, 0]))


def _product(one, other):
    one = jnp.broadcast_to(one, (max(len(one), len(other)), *one.shape[1:]))
    other = jnp.broadcast_to(other, (len(one), *other.shape[1:]))
    return jnp.matmul(one, other, precision=lax.Precision.HIGHEST)
