"""Films of training as no film should be: inverted, turned, cut.

A map that tells such alterations from the films themselves knows what a film looks
like, without any example of a wrong one: Golan and El-Yaniv 2018 (arXiv 1805.10917),
Hendrycks et al. 2019 (arXiv 1906.12340).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cxr_jax.gate.raster import window

# Shares of the sides, (top, bottom, left, right), of the parts that are cut out.
_HALVES = ((0, 1, 0, 0.5), (0, 1, 0.5, 1), (0, 0.5, 0, 1), (0.5, 1, 0, 1))
_WINDOW = (0.4, 0.6)  # the sides of a window into one lung, as shares
_TRIM = 0.05  # of each side: how differently the same chest is collimated


def inverted(rasters: np.ndarray, side: int, rng) -> list[np.ndarray]:
    """The negatives, [n, side, side]."""
    del rng
    return [1 - _whole(rasters, side)]


def turned(rasters: np.ndarray, side: int, rng) -> list[np.ndarray]:
    """A quarter turn, half a turn, three quarters, and upside down in a mirror."""
    del rng
    whole = _whole(rasters, side)
    return [*(np.rot90(whole, k, (1, 2)) for k in (1, 2, 3)), whole[:, ::-1]]


def cut(rasters: np.ndarray, side: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Each half, and a window of about a quarter of the film, anywhere in it."""
    size = rng.uniform(*_WINDOW, (2, len(rasters)))
    start = rng.uniform(0, 1 - size)
    ends = start + size
    parts = [*_HALVES, (start[0], ends[0], start[1], ends[1])]
    return [
        window(rasters, top, bottom, left, right, side)
        for top, bottom, left, right in parts
    ]


def usual(rasters: np.ndarray, side: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The films as they are, and their mirror images, collimated a little closer.

    A heart on the right is no fault of the film, and a mirrored one cannot be told
    from it by its shape.
    """
    trim = rng.uniform(0, _TRIM, (4, len(rasters)))
    closer = window(rasters, trim[0], 1 - trim[1], trim[2], 1 - trim[3], side)
    return [_whole(rasters, side), closer[:, :, ::-1]]


def _whole(rasters: np.ndarray, side: int) -> np.ndarray:
    return window(rasters, 0, 1, 0, 1, side)


# By check; each from rasters [n, m, m].
ALTERATIONS: dict[str, Callable[..., list[np.ndarray]]] = {
    "polarity": inverted,
    "orientation": turned,
    "cropped": cut,
}
