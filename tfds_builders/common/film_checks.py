"""What a film must show, in whatever format it came."""

from pathlib import Path

import numpy as np

from tfds_builders.common.errors import InputError
from tfds_builders.common.text import printable

# No chest is to be seen in less, and a zone of it would be ten pixels wide.
SMALLEST = 32


def check_film(path, pixels: np.ndarray) -> tuple[str, ...]:
    """Keys of counts.COUNTS about the content of a film [H, W].

    Errors: InputError where a side is shorter than SMALLEST.
    """
    rows, columns = pixels.shape
    if min(rows, columns) < SMALLEST:
        raise InputError(
            path,
            f"{rows} x {columns} pixels: no radiograph",
            f"Leave the file out: a side has at least {SMALLEST} pixels.",
        )
    if pixels.min() == pixels.max():
        return (f"films_of_one_grey:{printable(Path(path).name)}",)
    return ()
