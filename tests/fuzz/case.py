"""A fuzz case: a damaged file, and what a reader may do with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# What may come of reading the file, by the name of the demand.
ALLOWED = {
    # Nobody can tell it from an undamaged file, or the new values are legitimate.
    "any": {"same", "other", "noted", "refused"},
    # Data were lost or contradict each other: never other values without a note.
    "seen": {"same", "noted", "refused"},
    # There is no right reading: never without a note.
    "noted": {"noted", "refused"},
    # It says something that has to be obeyed, counted or refused.
    "heeded": {"other", "noted", "refused"},
    # It is whole: reading it gives the original.
    "same": {"same", "noted"},
}


class Original(NamedTuple):
    """A file that is read without errors or warnings.

    Attributes:
      name: what kind of file it is, 'JPEG-LS'.
      data: its content.
    """

    name: str
    data: bytes


class Case(NamedTuple):
    """A file made from an original.

    Attributes:
      original: its name.
      mutation: what was done, without numbers: 'cut', 'RescaleSlope nan'.
      data: content of the file; None if it is not a file but what `mutation` says.
      demand: a key of ALLOWED.
    """

    original: str
    mutation: str
    data: bytes | None
    demand: str


class Reading(NamedTuple):
    """What a reading function returned.

    Attributes:
      value: arrays, or dicts, lists and texts.
      notes: what it counted or warned about.
    """

    value: Any
    notes: tuple[str, ...] = ()


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
      originals: makes them; always the same.
      mutate: (rng, index of the original) -> Case.
      place: (folder, case) -> path of the file, which it writes.
      read: path -> Reading; the reading function that users call.
      share: of cases, relative to other kinds.
    """

    originals: Callable[[], tuple[Original, ...]]
    mutate: Callable[[np.random.Generator, int], Case]
    place: Callable[[Path, Case], Path]
    read: Callable[[Path], Reading]
    share: int = 1


def same(one: Any, other: Any) -> bool:
    """Equal in type, shape, order and value; NaN equals NaN."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        one, other = np.asarray(one), np.asarray(other)
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and repr(one) == repr(other)
