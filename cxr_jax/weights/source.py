"""A file of weights of any format: {name: array}, and where it is from."""

from __future__ import annotations

import pathlib
import zipfile
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from cxr_jax.weights import keras, npz, pytorch, safetensors, tflite
from tfds_builders.common import files
from tfds_builders.common.errors import InputError


class Source(NamedTuple):
    """Weights as they were stored.

    Attributes:
      path: of the file or workdir.
      format: 'torch', 'keras', 'tflite' (with batch norms folded into convolutions) or
        'ours'. It decides layouts, names and numeric conventions.
      arrays: {name in the source: array}.
      sha256: of the file; of a workdir, empty.
      config: of the run it is from, None for files.
    """

    path: pathlib.Path
    format: str
    arrays: dict[str, np.ndarray]
    sha256: str
    config: ConfigDict | None = None


def read(path: pathlib.Path) -> Source:
    """Reads weights; the format is recognised by what is inside, not by the name.

    Args:
      path: a PyTorch state dict (.pth), .safetensors, a Keras .h5 or .keras, or an
        .npz. The workdir of a run is read by `runs.restore`.

    Raises:
      InputError: nothing there, an unknown format, a damaged file, or a package that
        the format needs and that is not installed.
    """
    if not path.is_file():
        raise InputError(
            "config.init_from",
            f"{path} does not exist",
            "give a file of weights or the workdir of a run; python -m "
            "cxr_jax.weights.fetch lists public ones",
        )
    kind, arrays = _arrays(path)
    if not arrays:
        raise InputError(path, "holds no weights", "give another file")
    return Source(path, kind, arrays, files.sha256(path))


def _arrays(path: pathlib.Path) -> tuple[str, dict[str, np.ndarray]]:
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(keras.HDF5):
        return "keras", keras.read_h5(path)
    if start.startswith(b"PK"):
        return _zipped(path)
    if safetensors.is_one(start):
        return "torch", safetensors.read(path)
    if start.startswith(pytorch.PICKLE):
        return "torch", pytorch.read(path)
    raise InputError(
        path,
        "is in no known format of weights",
        "give a PyTorch state dict (.pth), .safetensors, a Keras .h5 or .keras, an .npz "
        "or the workdir of a run",
    )


def _zipped(path: pathlib.Path) -> tuple[str, dict[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise InputError(path, f"is damaged ({error})", "download it again") from None
    if "model.weights.h5" in names:
        return "keras", keras.read_keras(path)
    if any(name.endswith("data.pkl") for name in names):
        return "torch", pytorch.read(path)
    arrays = npz.read(path)
    return ("tflite" if tflite.is_one(arrays) else "ours"), arrays
