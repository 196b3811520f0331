"""Arrays in an .npz: by our names, by PyTorch's, or of a TensorFlow Lite model."""

from __future__ import annotations

import pathlib
import zipfile

import numpy as np

from cxr_jax.weights import claims
from cxr_jax.weights.claims import Contents
from tfds_builders.common.errors import InputError


def read(path: pathlib.Path) -> Contents:
    """The arrays; pickled objects are refused.

    Raises:
      InputError: not an .npz of plain arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check(path, archive, members)
            arrays = {}
            for member in members:
                with archive.open(member) as file:
                    array = np.lib.format.read_array(file, allow_pickle=False)
                arrays[member.filename.removesuffix(".npy")] = array
            return Contents(arrays)
    except InputError:
        raise
    # zlib, zipfile, tokenize and numpy each raise their own on damaged files.
    except Exception as error:  # noqa: BLE001
        raise InputError(
            path,
            f"cannot be read as .npz ({type(error).__name__}: {error})",
            "save plain arrays in it with np.savez",
        ) from None


def _check(path: pathlib.Path, archive, members: list[zipfile.ZipInfo]) -> None:
    """Refuses other members, and shapes that the file cannot hold, before reading."""
    claimed = 0
    for member in members:
        if not member.filename.endswith(".npy"):
            raise InputError(
                path,
                f"is a zip file, but its member {member.filename!r} is no array (.npy)",
                "give an .npz of arrays alone, as np.savez writes it",
            )
        shape, dtype = _header(archive, member)
        if not dtype.hasobject:  # read_array refuses these
            claims.check_type(path, member.filename.removesuffix(".npy"), dtype)
        claimed += claims.bytes_of(shape, dtype.itemsize)
        if claims.bytes_of(shape, dtype.itemsize) > member.file_size:
            raise InputError(
                path,
                f"{member.filename} claims the shape {shape}, and has only "
                f"{member.file_size:,} bytes",
                "it is damaged: download or save it again",
            )
    claims.check_size(path, claimed)


def _header(archive, member) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        form = np.lib.format
        read = (
            form.read_array_header_1_0
            if version[0] == 1
            else form.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    return shape, dtype
