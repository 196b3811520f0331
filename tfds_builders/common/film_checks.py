"""What a film must show, in whatever format it came."""

from pathlib import Path

import numpy as np

from tfds_builders.common.text import printable

# Pixels of a side. No chest is to be seen in less: a zone of it is then ten pixels
# wide, and the audits' thumbnails have as many as the picture.
SMALLEST = 32


def check_film(path, pixels: np.ndarray) -> tuple[str, ...]:
    """Keys of counts.COUNTS about the content of a film [H, W], with its name."""
    keys = []
    if min(pixels.shape) < SMALLEST:
        keys.append("films_too_small")
    if pixels.min() == pixels.max():
        keys.append("films_of_one_grey")
    return tuple(f"{key}:{printable(Path(path).name)}" for key in keys)
