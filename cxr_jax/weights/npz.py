"""Arrays in an .npz: by our names, or of a TensorFlow Lite model."""

from __future__ import annotations

import pathlib
import zipfile

import numpy as np

from tfds_builders.common.errors import InputError


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """{name: array}; pickled objects are refused.

    Raises:
      InputError: not an .npz of plain arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(
            path, f"cannot be read as .npz ({error})", "save plain arrays in it"
        ) from None
