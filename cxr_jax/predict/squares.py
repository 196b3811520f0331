"""The steps of preprocess.json in numpy: from a film to what the network is given."""

from __future__ import annotations

import pathlib

import numpy as np

from cxr_jax.data.fitting import fit
from cxr_jax.predict.recipe import Preprocess
from tfds_builders.common.film import Film, read_film, stored
from tfds_builders.common.limits import Held


def read(source: str | pathlib.Path | Held, preprocess: Preprocess) -> Film:
    """The step `read`: a film at its own size. Errors: as of `film.read_film`."""
    return read_film(source, preprocess.bits, preprocess.polarity)


def square(pixels: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """The steps after `read`: float32 [side, side, 1] in 0..1 of a film [H, W]."""
    return unit(squared(pixels, preprocess))


def squared(pixels: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """The steps up to `unit`: [side, side, 1], uint8 or uint16 as of the training."""
    small = stored(pixels, preprocess.longest, preprocess.bits)
    return fit(small, preprocess.side, preprocess.square)


def unit(pixels: np.ndarray) -> np.ndarray:
    """Unsigned integers as float32 in 0..1, divided by the type's largest value."""
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
