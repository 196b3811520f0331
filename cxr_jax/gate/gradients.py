"""What a film looks like, whatever its window: gradients of the ranks of its greys.

Histograms of oriented gradients (Dalal and Triggs 2005, doi 10.1109/CVPR.2005.177) of
a raster in which each value is replaced by its rank, so that neither the window nor
the exposure nor any other rising curve of greys matters. The direction has a sign: an
inverted film has the opposite one everywhere.
"""

from __future__ import annotations

import numpy as np

SIDE = 32  # of the raster
LEVELS = 4096  # grey levels that are told apart: equal greys stay equal everywhere
CELLS, BINS = 8, 6
LENGTH = BINS * CELLS * CELLS
_SOFT = 0.2  # of the mean norm, added to that of a cell: flat cells stay small
_TINY = 1e-6


def ranks(raster: np.ndarray) -> np.ndarray:
    """Ranks of the values of a raster, equal ones sharing their mean rank; -1 to 1.

    q = floor(LEVELS value + 1/2). With N values, of which b have a smaller q and e the
    same q, the value itself among them, it is (2 b + e) / N - 1.

    Args:
      raster: float64 [h, w], 0 to 1.

    Returns: float64 [h, w].
    """
    q = np.floor(LEVELS * raster + 0.5).astype(np.int64).ravel()
    _, inverse, equal = np.unique(q, return_inverse=True, return_counts=True)
    smaller = np.cumsum(equal) - equal
    return ((2 * smaller + equal) / q.size - 1)[inverse].reshape(raster.shape)


def histograms(ranked: np.ndarray) -> np.ndarray:
    """Histograms of the directions of the gradients of some rank rasters.

    With v = ranked: gx[y, x] = v[y, x + 1] - v[y, x - 1], 0 in the first and the last
    column; gy likewise in rows. A pixel gives its length m = sqrt(gx^2 + gy^2) to two
    of six directions: with a = atan2(gy, gx) 6 / (2 pi), mod 6, and k = floor(a), it
    gives m (1 - a + k) to direction k and m (a - k) to direction k + 1, mod 6. The
    sums over each of 8 x 8 cells of 4 x 4 pixels are h[k, row, column]. With the norm
    of a cell, sqrt(sum over k of h^2), and the mean of the 64 norms, the value is
    h / (norm + 0.2 mean + 1e-6).

    Args:
      ranked: float64 [n, SIDE, SIDE].

    Returns: float64 [n, LENGTH], in the order direction, row, column.
    """
    n = len(ranked)
    gx, gy = np.zeros_like(ranked), np.zeros_like(ranked)
    gx[:, :, 1:-1] = ranked[:, :, 2:] - ranked[:, :, :-2]
    gy[:, 1:-1] = ranked[:, 2:] - ranked[:, :-2]
    length = np.hypot(gx, gy)
    angle = np.arctan2(gy, gx) * (BINS / (2 * np.pi)) % BINS
    low = np.floor(angle)
    part, low = angle - low, low.astype(np.int64) % BINS
    cell = SIDE // CELLS
    sums = np.empty((n, BINS, CELLS, CELLS))
    for k in range(BINS):
        share = np.where(low == k, 1 - part, 0) + np.where(
            (low + 1) % BINS == k, part, 0
        )
        split = (length * share).reshape(n, CELLS, cell, CELLS, cell)
        sums[:, k] = split.sum((2, 4))
    norm = np.sqrt((sums**2).sum(1, keepdims=True))
    mean = norm.mean((2, 3), keepdims=True)
    return (sums / (norm + _SOFT * mean + _TINY)).reshape(n, LENGTH)


def describe(rasters: np.ndarray) -> np.ndarray:
    """`histograms` of `ranks` of some rasters [n, SIDE, SIDE]."""
    return histograms(np.stack([ranks(raster) for raster in rasters]))
