"""A film as a small square of area averages, and parts of one."""

from __future__ import annotations

import numpy as np


def raster(pixels: np.ndarray, side: int) -> np.ndarray:
    """The means of side x side equal boxes of a film, as shares of the full range.

    Box (i, j) of a film of H rows and W columns covers the rows from i H / side to
    (i + 1) H / side and the columns from j W / side to (j + 1) W / side; a pixel that
    lies in it by a part counts by that part. With the whole numbers

        weight(i, y, H) = max(0, min((i + 1) H, (y + 1) side) - max(i H, y side))

    it is sum(weight(i, y, H) weight(j, x, W) pixels[y, x]) / (H W full), where full is
    255 or 65535. The sum is a whole number below 2^53, so that double precision gives
    the same in whatever order it is added; only the division rounds.

    Args:
      pixels: uint8 or uint16 [H, W], of any size, also smaller than `side`.

    Returns: float64 [side, side], 0 to 1.
    """
    height, width = pixels.shape
    full = np.iinfo(pixels.dtype).max
    rows = np.stack([_box(pixels, i, side) for i in range(side)])
    return rows @ _weights(width, side).T / (height * width * full)


def window(rasters: np.ndarray, top, bottom, left, right, side: int) -> np.ndarray:
    """Area averages [n, side, side] of the window of each raster [n, m, m].

    top, bottom, left, right: float [n] or numbers, shares of the side, 0 to 1.
    """
    rows = _part(rasters.shape[1], side, top, bottom)
    columns = _part(rasters.shape[2], side, left, right)
    return rows @ rasters @ np.swapaxes(columns, -1, -2)


def _box(pixels: np.ndarray, i: int, side: int) -> np.ndarray:
    """The weighted sum of the rows of box i, float64 [W]."""
    height = len(pixels)
    first, last = i * height // side, -(-(i + 1) * height // side)
    y = np.arange(first, last)
    return _overlap(i, y, height, side) @ pixels[first:last].astype(np.float64)


def _weights(size: int, side: int) -> np.ndarray:
    """weight(j, x, size), float64 [side, size]."""
    return _overlap(np.arange(side)[:, None], np.arange(size), size, side)


def _overlap(i, y, size: int, side: int) -> np.ndarray:
    ends = np.minimum((i + 1) * size, (y + 1) * side)
    return np.maximum(0, ends - np.maximum(i * size, y * side)).astype(np.float64)


def _part(size: int, side: int, start, stop) -> np.ndarray:
    """Weights [n or 1, side, size] of boxes between two shares of `size` pixels."""
    start, stop = (np.reshape(share, (-1, 1, 1)) * size for share in (start, stop))
    step = (stop - start) / side
    low = start + step * np.arange(side)[:, None]
    y = np.arange(size)
    overlap = np.minimum(low + step, y + 1) - np.maximum(low, y)
    return np.maximum(0, overlap) / step
