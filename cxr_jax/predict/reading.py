"""One film, read in a worker: all that is kept of it until the network has run."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from cxr_jax.gate.judge import Look, look
from cxr_jax.predict import inputs, squares
from cxr_jax.predict.inputs import Item
from cxr_jax.predict.recipe import Preprocess
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import resize_longest

# Pixels of the longer side of a film in an overlay.
SHOWN = 768


class Task(NamedTuple):
    """What a worker does with each film; it can be pickled.

    Attributes:
      preprocess: of the recipe.
      looks: whether a gate will judge the film.
      shows: whether the film will be drawn.
    """

    preprocess: Preprocess
    looks: bool
    shows: bool


class Read(NamedTuple):
    """Attributes:
    square: [S, S, 1] for the network, uint8 or uint16; None where it cannot be read.
    notes: keys of counts.COUNTS.
    look: for the gate; None without one.
    shown: uint8 [h, w], longer side SHOWN; None unless it will be drawn.
    error: why it cannot be read, in one line.
    """

    square: np.ndarray | None
    notes: tuple[str, ...] = ()
    look: Look | None = None
    shown: np.ndarray | None = None
    error: str = ""


def read(task: Task, item: Item) -> Read:
    """The film of an item, or why there is none."""
    try:
        return of_pixels(task, *_pixels(task, item))
    except InputError as error:
        return Read(None, error=_line(f"{error.found} -> {error.hint}"))
    except OSError as error:
        hint = "check the disk, and whether you may read the file"
        return Read(None, error=_line(f"{error.strerror or error} -> {hint}"))
    except MemoryError:
        return Read(None, error="does not fit into memory -> leave the film out")


def of_pixels(task: Task, pixels: np.ndarray, notes: tuple[str, ...] = ()) -> Read:
    """The same of a film [H, W] that is there."""
    return Read(
        square=squares.squared(pixels, task.preprocess),
        notes=notes,
        look=look(pixels) if task.looks else None,
        shown=_shown(pixels) if task.shows else None,
    )


def crashed(item: Item) -> Read:
    """Of a film whose decoder ended its process."""
    del item
    hint = "leave the film out; it may be damaged, or its decoder out of memory"
    return Read(None, error=f"its decoder crashed -> {hint}")


def _pixels(task: Task, item: Item) -> tuple[np.ndarray, tuple[str, ...]]:
    found = squares.read(inputs.content(item), task.preprocess)
    return found.pixels, found.notes


def _shown(pixels: np.ndarray) -> np.ndarray:
    small = resize_longest(pixels, SHOWN)
    if small.dtype == np.uint16:
        small = np.rint(small / 257).astype(np.uint8)
    height, width = small.shape
    scale = SHOWN / max(height, width)
    if scale <= 1:
        return small
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(small, shape, interpolation=cv2.INTER_CUBIC)


def _line(text: str) -> str:
    return " ".join(text.split())
