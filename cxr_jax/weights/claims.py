"""What a file of weights holds, and what it may hold at all."""

from __future__ import annotations

import math
import pathlib
from typing import NamedTuple

import numpy as np

from tfds_builders.common.errors import InputError

# Weights hardly compress. Zeros do, so a small file may hold more than its size.
_TIMES = 20
_BESIDE = 256 << 20


class Contents(NamedTuple):
    """Arrays of a file, and where in it they were.

    Attributes:
      arrays: {name in the file: array}.
      inside: keys that lead to them, ('state_dict',) of a checkpoint; () for most.
      beside: what else lies at the top of the file, ('epoch', 'optimizer').
    """

    arrays: dict[str, np.ndarray]
    inside: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def check_size(path: pathlib.Path, claimed: int) -> None:
    """Refuses arrays of so many bytes in all, if the file cannot hold them.

    Called before anything is read: a few bytes can claim any shape.
    """
    size = path.stat().st_size
    if claimed > _BESIDE + _TIMES * size:
        raise InputError(
            path,
            f"claims arrays of {claimed:,} bytes, and is itself {size:,} bytes long",
            "it is damaged or no file of weights: download or save it again",
        )


def bytes_of(shape: tuple[int, ...], item: int) -> int:
    """Of an array; Python's integers, since shapes that are claimed overflow others."""
    return math.prod(map(int, shape)) * item


def check_type(path: pathlib.Path, name: str, dtype: np.dtype) -> None:
    """Refuses what is no real number: text, records, objects, complex numbers."""
    is_number = dtype.kind in "fiub" or dtype.name.startswith(("bfloat", "float"))
    if not is_number:
        raise InputError(
            path,
            f"{name} is of the type {dtype}, which are no weights",
            "save it as float32",
        )


def check_finite(where: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuses NaN, infinity, and what is infinite as float32."""
    most = float(np.finfo(np.float32).max)
    faults = []
    for name, array in arrays.items():
        if array.dtype.kind in "iub":
            continue
        wide = array if array.dtype.itemsize > 2 else array.astype(np.float32)
        # The extremes alone: NaN shows in both, and no second array is needed.
        if array.size and not (-most <= wide.min() and wide.max() <= most):
            wrong = int(np.sum(~(np.abs(wide) <= most)))
            faults.append(f"{name} ({wrong:,} of {array.size:,})")
    if faults:
        more = f" and {len(faults) - 4} more arrays" if len(faults) > 4 else ""
        raise InputError(
            where,
            f"holds NaN or infinity in {', '.join(faults[:4])}{more}",
            "a training that diverged wrote it: take an earlier checkpoint",
        )
