"""A file of weights of any format: {name: array}, and where it is from."""

from __future__ import annotations

import pathlib
import zipfile
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cxr_jax.weights import (
    claims,
    foreign,
    keras,
    names,
    npz,
    pytorch,
    safetensors,
    subreader,
    tflite,
)
from cxr_jax.weights.claims import Contents
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict


class Source(NamedTuple):
    """Weights as they were stored.

    Attributes:
      path: of the file or workdir.
      format: 'torch', 'keras', 'tflite' (with batch norms folded into convolutions) or
        'ours'. It decides layouts, names and numeric conventions.
      arrays: {name in the source: array}.
      sha256: of the file; of a workdir, empty.
      config: of the run it is from, None for files.
      inside, beside: as in `claims.Contents`.
    """

    path: pathlib.Path
    format: str
    arrays: dict[str, np.ndarray]
    sha256: str
    config: ConfigDict | None = None
    inside: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def read(path: pathlib.Path) -> Source:
    """Reads weights; the format is recognised by what is inside, not by the name.

    Args:
      path: a PyTorch state dict (.pth), .safetensors, a Keras .h5 or .keras, or an
        .npz. The workdir of a run is read by `runs.restore`.

    Raises:
      InputError: nothing there, an unknown format, a damaged file, NaN or infinity in
        it, or a package that the format needs and that is not installed.
    """
    if not path.is_file():
        found = "is no regular file" if path.exists() else "does not exist"
        raise InputError(
            "config.init_from",
            f"{path} {found}",
            "give a file of weights or the workdir of a run; python -m "
            "cxr_jax.weights.fetch lists public ones",
        )
    kind, found = _contents(path)
    arrays = found.arrays
    if not arrays:
        raise InputError(path, "holds no weights", "give another file")
    for name, array in arrays.items():
        claims.check_type(path, name, array.dtype)
    weights = {n: a for n, a in arrays.items() if names.is_weight(n)}
    claims.check_finite(path, weights)
    kind = kind or _kind_of_names(arrays)
    checksum = files.sha256(path)
    return Source(path, kind, arrays, checksum, None, found.inside, found.beside)


def _contents(path: pathlib.Path) -> tuple[str, Contents]:
    """-> (format, '' where the names decide; what the file holds)."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise InputError(
            path, f"cannot be read ({error.strerror})", "give a file you may read"
        ) from None
    if start.startswith(keras.HDF5):
        return "keras", subreader.read("h5", path)
    if start.startswith(b"PK"):
        return _zipped(path)
    if safetensors.is_one(start):
        return "", safetensors.read(path)
    if start.startswith(pytorch.PICKLE):
        return "torch", subreader.read("torch", path)
    foreign.refuse_file(path, start)
    raise InputError(
        path,
        "is in no known format of weights",
        "give a PyTorch state dict (.pth), .safetensors, a Keras .h5 or .keras, an .npz "
        "or the workdir of a run",
    )


def _zipped(path: pathlib.Path) -> tuple[str, Contents]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise InputError(path, f"is damaged ({error})", "download it again") from None
    if "model.weights.h5" in members:
        return "keras", subreader.read("keras", path)
    if any(name.endswith("data.pkl") for name in members):
        return "torch", subreader.read("torch", path)
    return "", npz.read(path)


def _kind_of_names(arrays: dict[str, np.ndarray]) -> str:
    """Of a container that any framework may have written."""
    if tflite.is_one(arrays):
        return "tflite"
    if any(name.startswith(("params/", "batch_stats/")) for name in arrays):
        return "ours"
    if any(name.endswith((".weight", ".running_mean")) for name in arrays):
        return "torch"
    if any(
        name.endswith(("/kernel", "/gamma", "/depthwise_kernel")) for name in arrays
    ):
        return "keras"
    return "torch" if any("." in name for name in arrays) else "ours"
