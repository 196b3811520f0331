"""The films that an export is calibrated, verified and compared with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cxr_jax import rng
from cxr_jax.data import decode, roles
from cxr_jax.devices.terminal import say
from cxr_jax.predict import squares
from cxr_jax.predict.of_run import Opened
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import LEVELS, ZONES
from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film

VERIFIED = 64
CALIBRATED = 32
COMPARED = 256
GOLDEN = 8
_SIDE = 512  # pixels of the longer side of a phantom


class Films(NamedTuple):
    """Squares as the network takes them, float32 [n, S, S, 1] in 0..1.

    Attributes:
      source: which films they are, for people.
      verified: VERIFIED of them.
      calibrated: CALIBRATED others, of train.
      compared: at most COMPARED of test; none where the data are not there.
      labels: of those, int [n, G].
    """

    source: str
    verified: np.ndarray
    calibrated: np.ndarray
    compared: np.ndarray
    labels: np.ndarray


def of_run(opened: Opened) -> Films:
    """Films of the run's data, or phantoms where these are gone."""
    config = opened.exp.config
    try:
        splits = roles.open_splits(config.data, opened.workdir)
    except InputError as error:
        say(f"The data of the run are not there ({error}).\nPhantoms take their place.")
        images = _squares(opened, VERIFIED + CALIBRATED)
        none = images[:0]
        rest = images[VERIFIED:]
        return Films("phantoms", images[:VERIFIED], rest, none, np.zeros((0, 1), int))

    def some(split, most: int):
        index = np.sort(rng.generator(0, "export").permutation(split.size)[:most])
        found = decode.pictures(split, index, config.data.size, config.data.square)
        return index, squares.unit(found["image"])

    index, compared = some(splits.test, COMPARED)
    (labels,) = opened.exp.task.targets(splits.test).values()
    _, calibrated = some(splits.train, CALIBRATED)
    verified = np.concatenate([compared[:VERIFIED], some(splits.train, VERIFIED)[1]])
    if len(verified) < VERIFIED:
        verified = np.concatenate([verified, _squares(opened, VERIFIED)])
    return Films(
        f"{splits.test.dataset}: test, filled up with train and phantoms",
        verified[:VERIFIED],
        calibrated,
        compared,
        labels[index].reshape(len(index), -1),
    )


def _squares(opened: Opened, count: int) -> np.ndarray:
    preprocess = opened.recipe.preprocess
    drawn = phantoms(count, preprocess.bits)
    return np.stack([squares.square(each, preprocess) for each in drawn])


def phantoms(count: int, bits: int) -> list[np.ndarray]:
    """Synthetic films [H, W] of `bits`, always the same."""
    found = []
    for number in range(count):
        draw: Any = rng.generator(number, "export/phantom")
        levels = draw.integers(0, LEVELS, len(ZONES))
        picture = draw_film(draw_chest(draw), levels, draw, _SIDE).picture
        top = 255 if bits == 8 else 65535
        found.append(
            np.rint(picture * top).astype(np.uint8 if bits == 8 else np.uint16)
        )
    return found
