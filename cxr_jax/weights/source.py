"""A file of weights, read whatever wrote it: {name: array}, and where it is from."""

from __future__ import annotations

import pathlib
import re
import zipfile
from typing import NamedTuple

import numpy as np

from tfds_builders.common import files
from tfds_builders.common.errors import InputError

HDF5 = b"\x89HDF\r\n\x1a\n"


class Source(NamedTuple):
    """Weights as they were stored.

    Attributes:
      path: of the file or workdir.
      format: 'torch', 'keras', 'folded' (batch norm worked into the convolutions) or
        'ours'. It settles layouts, names and numeric conventions.
      arrays: {name in the source: array}.
      sha256: of the file; of a workdir, empty.
      config: of the run it is from, None for files.
    """

    path: pathlib.Path
    format: str
    arrays: dict[str, np.ndarray]
    sha256: str
    config: object | None = None


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
            f"there is no {path}",
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
    if start.startswith(HDF5):
        from cxr_jax.weights import keras

        return "keras", keras.read_h5(path)
    if start.startswith(b"PK"):
        return _zipped(path)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 27:
        return "torch", _safetensors(path)
    if start.startswith(b"\x80"):  # PyTorch's format before 1.6
        return "torch", _torch(path)
    raise InputError(
        path,
        "is none of the formats of weights that are known",
        "give a PyTorch state dict (.pth), .safetensors, a Keras .h5 or .keras, an .npz "
        "or the workdir of a run",
    )


def _zipped(path: pathlib.Path) -> tuple[str, dict[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise InputError(path, f"is damaged ({error})", "fetch it again") from None
    if "model.weights.h5" in names:
        from cxr_jax.weights import keras

        return "keras", keras.read_keras(path)
    if any(name.endswith("data.pkl") for name in names):
        return "torch", _torch(path)
    return _npz(path)


def _npz(path: pathlib.Path) -> tuple[str, dict[str, np.ndarray]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(
            path, f"cannot be read as .npz ({error})", "save plain arrays"
        ) from None
    if arrays and all(re.fullmatch(r"\d\d_(conv|dw)_[wb]", name) for name in arrays):
        return "folded", arrays
    return "ours", arrays


def _safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError, numpy
    except ImportError:
        raise missing(path, "safetensors", "weights") from None
    try:
        return numpy.load_file(path)
    except SafetensorError as error:
        raise InputError(path, f"is damaged ({error})", "fetch it again") from None


def _torch(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError:
        raise missing(path, "torch", "torch") from None
    try:
        # Never a free pickle: it could run any program.
        stored = torch.load(path, map_location="cpu", weights_only=True)
    # It raises what the pickle, the archive or its own checks raise.
    except Exception as error:  # noqa: BLE001
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(
            path,
            f"is no plain PyTorch state dict, and pickled objects are not read: {reason}",
            "where it comes from: torch.save(model.state_dict(), 'weights.pth')",
        ) from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
    tensors = {n: v for n, v in stored.items() if isinstance(v, torch.Tensor)}
    return {
        re.sub(r"^module\.", "", name): tensor.float().numpy()
        for name, tensor in tensors.items()
    }


def missing(path: pathlib.Path, package: str, extra: str) -> InputError:
    """The error of a package that a format needs."""
    return InputError(
        path,
        f"needs the package {package}, which is not installed",
        f"pip install 'cxr_jax[{extra}]'",
    )
