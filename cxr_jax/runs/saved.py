"""A checkpoint as it lies on the disk: read by name, against its digests, without orbax.

Orbax takes longer to import than its arrays to read, so only a training does: they are
zarr arrays in a store of tensorstore's OCDBT, and `record` is JSON.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import tensorstore

from cxr_jax import trees
from cxr_jax.runs import digest, own_digest
from tfds_builders.common.errors import InputError

_OF_TRAINING = "opt_state/"


class Damaged(Exception):
    """A checkpoint is not as it was written; the message says what was found."""


def read(
    folder: pathlib.Path, step: int, wanted: dict[str, list]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What a model is evaluated with: all but `opt_state`, which is two thirds.

    Args:
      folder: of all checkpoints.
      step: of one.
      wanted: of `digest.shapes`, of the whole state.

    Returns:
      (arrays by name, meta).

    Raises:
      InputError: it cannot be read, or was saved by another model or optimiser.
    """
    folder = folder.absolute()
    with explained(folder, step):
        found = record(folder / str(step))
        digest.check_fit(folder / str(step), found["shapes"], wanted)
        names = [name for name in wanted if not name.startswith(_OF_TRAINING)]
        with damage_named(folder / str(step)):
            arrays = _arrays(openable(folder) / str(step) / "state", names)
        check_digests(arrays, found["digests"])
    return arrays, found["meta"]


def _arrays(folder: pathlib.Path, names: list[str]) -> dict[str, np.ndarray]:
    described = json.loads((folder / "_METADATA").read_bytes())
    driver = "zarr3" if described["use_zarr3"] else "zarr"
    store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}}
    opening = {
        name: tensorstore.open(
            {"driver": driver, "kvstore": store | {"path": f"{name}/"}}, open=True
        )
        for name in names
    }
    reading = {name: opened.result().read() for name, opened in opening.items()}
    return {name: np.asarray(array.result()) for name, array in reading.items()}


def record(folder: pathlib.Path) -> dict[str, Any]:
    """{'meta', 'shapes', 'digests'} of the checkpoint in a folder.

    Raises:
      Damaged: it is not what was saved.
      InputError: an older version saved it.
    """
    if os.path.exists(folder / "meta") and not os.path.exists(folder / "record"):
        raise InputError(
            folder,
            "the checkpoint is of an older version of cxr_jax, without digests",
            "train again in a new --workdir, or resume with that version",
        )
    with damage_named(folder):
        found = json.loads((folder / "record" / "metadata").read_bytes())
    if not own_digest.is_sealed(found):
        raise Damaged("its record is not what was saved")
    return found


def check_digests(arrays: dict[str, np.ndarray], wanted: dict[str, str]) -> None:
    """Raises Damaged where an array has another digest than was noted."""
    found = digest.of(arrays)
    changed = [name for name in arrays if found[name] != wanted[name]]
    if changed:
        more = f" and {len(changed) - 1} more arrays" if changed[1:] else ""
        raise Damaged(f"{changed[0]}{more}: not the bytes that were saved")


def placed(arrays: dict[str, np.ndarray], abstract: Any) -> Any:
    """A tree of arrays on the devices of an abstract one, whose names they have."""
    leaves = [_placed(arrays[n], leaf) for n, leaf in trees.by_name(abstract).items()]
    return jax.tree.unflatten(jax.tree.structure(abstract), leaves)


def _placed(array: np.ndarray, leaf: jax.ShapeDtypeStruct) -> jax.Array:
    if leaf.sharding is None:
        return jax.device_put(array)
    return jax.make_array_from_callback(leaf.shape, leaf.sharding, array.__getitem__)


@contextmanager
def explained(folder: pathlib.Path, step: int) -> Iterator[None]:
    """Raises InputError for a damaged checkpoint that no other can stand in for."""
    try:
        yield
    except Damaged as error:
        several = (
            "let all processes have the same --workdir, " if jax.process_index() else ""
        )
        raise InputError(
            folder / str(step),
            f"the checkpoint cannot be read: {error}",
            f"{several}restore that folder from a copy, or train again in a new "
            "--workdir",
        ) from error


def openable(folder: pathlib.Path) -> pathlib.Path:
    """The same folder by a name that orbax and its storage layer understand.

    The one globs with the name, the other takes a backslash for a slash and any text
    for UTF-8. Where one of them would, the folder is named by an open descriptor.

    Raises:
      InputError: the system has no such names (Linux has), or the folder is not there.
    """
    text = str(folder)
    is_encoded = os.fsencode(folder) == text.encode(errors="surrogateescape")
    if not any(c in text for c in "*?[]\\") and is_encoded and text.isprintable():
        return folder
    if not folder.is_dir():
        return folder  # which orbax will say
    # Stays open as long as the process: there is a store or two in one.
    alias = pathlib.Path(f"/proc/self/fd/{os.open(folder, os.O_RDONLY)}")
    if not alias.is_dir():
        raise InputError(
            folder,
            "checkpoints cannot be kept in a folder with *, ?, [, ], a backslash or "
            "characters that are not UTF-8 in its path",
            "give another --workdir",
        )
    return alias


@contextmanager
def damage_named(folder: pathlib.Path) -> Iterator[None]:
    """Raises Damaged for whatever comes of a checkpoint that is not whole."""
    try:
        with hushed():
            yield
    except MemoryError:
        raise
    # Orbax, its storage layer, the decompression and JSON each raise their own.
    except Exception as error:
        _check_permission(folder)
        raise Damaged(first_line(error)) from error


@contextmanager
def hushed() -> Iterator[None]:
    """Where one array cannot be read, those read beside it say nothing.

    Nobody waits for them any more, and each would print a traceback.
    """
    report = sys.unraisablehook

    def report_others(unraisable) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            report(unraisable)

    sys.unraisablehook = report_others
    yield
    sys.unraisablehook = report  # not after an error: some are still on their way


def _check_permission(folder: pathlib.Path) -> None:
    """What may not be read is not therefore damaged."""
    for path in (folder, *folder.rglob("*")):
        if os.path.lexists(path) and not os.access(path, os.R_OK):
            raise InputError(path, "may not be read", "get permission to read it")


def first_line(error: Exception) -> str:
    """Of its message: the storage layer adds its whole specification in JSON."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
