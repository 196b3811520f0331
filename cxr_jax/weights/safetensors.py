"""Weights in .safetensors, by the names that PyTorch gave them."""

from __future__ import annotations

import pathlib

import numpy as np

from cxr_jax.weights import optional
from tfds_builders.common.errors import InputError


def is_one(start: bytes) -> bool:
    """Whether a file that starts so is one: the length of a JSON header, then it."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 27


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """{name: array}.

    Raises:
      InputError: a damaged file.
    """
    package = optional.package("safetensors", "weights", path)
    numpy = optional.package("safetensors.numpy", "weights", path)
    try:
        return numpy.load_file(path)
    except package.SafetensorError as error:
        raise InputError(path, f"is damaged ({error})", "download it again") from None
