"""Pictures as another machine or another day would have made them, in five strengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from cxr_jax import rng


class Alteration(NamedTuple):
    """A change of single pictures.

    Attributes:
      unit: of the strengths.
      strengths: from weak to strong.
      apply: (picture [S, S] float64 in 0..1, strength, generator) -> picture.
    """

    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def rotate(picture, degrees, generator):
    """To either side, about the middle; edges are repeated."""
    del generator
    return _warp(picture, degrees, 1.0)


def zoom(picture, factor, generator):
    """Enlarged about the middle."""
    del generator
    return _warp(picture, 0.0, factor)


def gamma(picture, power, generator):
    """Darker above 1, as another look-up table would have it."""
    del generator
    return picture**power


def noise(picture, deviation, generator):
    """Normal, the same at every brightness."""
    return picture + generator.normal(0, deviation, picture.shape)


def blur(picture, deviation, generator):
    """Normal, in percent of the side."""
    del generator
    pixels = deviation / 100 * len(picture)
    return cv2.GaussianBlur(picture, (0, 0), pixels, borderType=cv2.BORDER_REPLICATE)


def jpeg(picture, quality, generator):
    """Written as JPEG of that quality and read again, in 8 bits."""
    del generator
    grey = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    return cv2.imdecode(cv2.imencode(".jpg", grey, quality)[1], 0) / 255.0


def invert(picture, share, generator):
    """Black for white: MONOCHROME1 read as MONOCHROME2, in that share of the pictures."""
    return 1 - picture if generator.random() < share else picture


ALTERATIONS = {
    "rotation": Alteration("degrees", (2, 5, 10, 15, 20), rotate),
    "enlargement": Alteration("factor", (1.02, 1.05, 1.1, 1.2, 1.3), zoom),
    "gamma": Alteration("power", (0.5, 0.7, 1.4, 2.0, 2.5), gamma),
    "noise": Alteration("of the range", (0.01, 0.02, 0.05, 0.1, 0.2), noise),
    "blur": Alteration("% of the side", (0.2, 0.4, 0.8, 1.2, 2.0), blur),
    "JPEG": Alteration("quality", (75, 50, 30, 15, 5), jpeg),
    "inverted": Alteration("of the pictures", (0.1, 0.25, 0.5, 0.75, 1.0), invert),
}


def alter(pixels: np.ndarray, name: str, strength: float, seed: int) -> np.ndarray:
    """All pictures [N, S, S, 1], of the type they were; a draw of its own for each.

    Args:
      pixels: unsigned integers.
      name: of ALTERATIONS.
      strength: as there.
      seed: of the run; picture i has the same draws at all strengths.
    """
    top = np.iinfo(pixels.dtype).max
    found = np.empty_like(pixels)
    for i, picture in enumerate(pixels[..., 0]):
        generator = rng.generator(seed, f"alteration/{name}/{i}")
        changed = ALTERATIONS[name].apply(picture / top, strength, generator)
        found[i, ..., 0] = np.rint(np.clip(changed, 0, 1) * top)
    return found


def _warp(picture, degrees: float, factor: float):
    side = len(picture)
    middle = ((side - 1) / 2, (side - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, degrees, factor)
    return cv2.warpAffine(
        picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE
    )
