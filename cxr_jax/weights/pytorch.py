"""State dicts of PyTorch, .pth; pickled objects in them are never read.

Runs in a process of its own, see `subreader`.
"""

from __future__ import annotations

import pathlib
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from cxr_jax.weights import claims, optional
from cxr_jax.weights.claims import Contents
from tfds_builders.common.errors import InputError

# The format of before PyTorch 1.6 is a pickle, that of later ones a zip.
PICKLE = b"\x80"

_SAVE = "where it was made: torch.save(model.state_dict(), 'weights.pth')"
# Keys of checkpoints that hold the state dict; the first that is there is taken.
_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network")
_KEYS += ("module", "params", "weights", "backbone", "encoder")
# Tensors below these are no weights.
_NO_WEIGHTS = re.compile("optim|sched|scaler|rng|hyper|param_groups")
_DEEPEST = 3


def read(path: pathlib.Path) -> Contents:
    """The tensors of a state dict, or of the one in a checkpoint, as float32.

    Raises:
      InputError: no plain state dict, or tensors without values.
    """
    torch = optional.package("torch", "torch", path)
    _check_archive(path)
    try:
        # Never a free pickle: it could run any program.
        stored = torch.load(path, map_location="cpu", weights_only=True)
    # It raises what the pickle, the archive or its own checks raise.
    except Exception as error:  # noqa: BLE001
        raise InputError(
            path,
            "is not a plain PyTorch state dict, and pickled objects are not read: "
            f"{_reason(error)}",
            _SAVE,
        ) from None
    inside, tensors = state_dict(path, stored, torch.Tensor)
    for name, tensor in tensors.items():
        _check(path, name, tensor)
    claimed = sum(4 * tensor.numel() for tensor in tensors.values())
    claims.check_size(path, claimed)
    arrays = {
        name: np.ascontiguousarray(tensor.detach().float().numpy())
        for name, tensor in tensors.items()
    }
    beside = tuple(str(key) for key in stored if inside and key != inside[0])
    return Contents(arrays, inside, beside)


def _reason(error: Exception) -> str:
    """The object that it holds, or the first line: PyTorch's messages are pages long."""
    text = str(error).strip()
    if match := re.search(r"GLOBAL ([\w.]+)", text):
        return f"it holds {match[1]}"
    first = (text.splitlines() or [type(error).__name__])[0]
    return "".join(filter(str.isprintable, first))[:200]


def _check_archive(path: pathlib.Path) -> None:
    """Refuses TorchScript, and tensors that claim more than their file holds."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(path, f"is damaged ({error})", "download it again") from None
    if any("/code/" in member.filename for member in members):
        raise InputError(path, "is a TorchScript program, not a state dict", _SAVE)
    claims.check_size(path, sum(member.file_size for member in members))


def state_dict(
    path: pathlib.Path, stored: Any, tensor: type
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """-> (the keys that lead to it, {name: tensor}).

    tensor: the class torch.Tensor.
    """
    if isinstance(stored, tensor):
        shape = "x".join(map(str, stored.shape)) or "scalar"
        raise InputError(path, f"is one tensor ({shape}) without a name", _SAVE)
    if isinstance(stored, list | tuple):
        raise InputError(
            path, f"is a list of {len(stored)} values without names", _SAVE
        )
    if not isinstance(stored, dict):
        raise InputError(path, f"holds a {type(stored).__name__}, no state dict", _SAVE)
    found = dict(_state_dicts(stored, tensor))
    if not found:
        if any(isinstance(value, tensor) for value in stored.values()):
            raise InputError(path, "has tensors with numbers in place of names", _SAVE)
        keys = ", ".join(map(str, list(stored)[:8])) or "none"
        raise InputError(path, f"holds no named tensors; its keys: {keys}", _SAVE)
    ranked = sorted(found, key=_rank)
    if len(ranked) > 1 and _rank(ranked[0]) == _rank(ranked[1]):
        several = ", ".join(
            f"{'.'.join(keys)} ({len(found[keys])} tensors)" for keys in ranked
        )
        raise InputError(
            path,
            f"holds several state dicts: {several}",
            f"save the one you mean alone: torch.save(stored[{ranked[0][0]!r}], 'w.pth')",
        )
    _refuse_numbers(path, stored, ranked[0], tensor)
    return ranked[0], found[ranked[0]]


def _refuse_numbers(path, stored: dict, inside: tuple[str, ...], tensor: type) -> None:
    """Refuses a state dict in which some tensors have a number in place of a name."""
    for key in inside:
        stored = stored[key]
    numbers = [
        str(key)
        for key, value in stored.items()
        if isinstance(value, tensor) and not isinstance(key, str)
    ]
    if numbers:
        raise InputError(
            path,
            f"has tensors with numbers in place of names beside named ones: "
            f"{', '.join(numbers[:8])}",
            _SAVE,
        )


def _state_dicts(stored: dict, tensor: type, inside: tuple[str, ...] = ()) -> Iterator:
    """((keys that lead to it), {name: tensor}) of every dict with named tensors."""
    named = {
        key: value
        for key, value in stored.items()
        if isinstance(key, str) and isinstance(value, tensor)
    }
    if named:
        yield inside, named
    for key, value in stored.items():
        is_inner = isinstance(key, str) and isinstance(value, dict)
        if is_inner and len(inside) < _DEEPEST and not _NO_WEIGHTS.search(key):
            yield from _state_dicts(value, tensor, (*inside, key))


def _rank(inside: tuple[str, ...]) -> int:
    if not inside:
        return len(_KEYS)
    return _KEYS.index(inside[-1]) if inside[-1] in _KEYS else len(_KEYS) + 1


def _check(path: pathlib.Path, name: str, tensor: Any) -> None:
    faults = (
        (tensor.is_meta, "has a shape but no values (a 'meta' tensor)", _SAVE),
        (
            tensor.is_quantized,
            f"is quantised ({tensor.dtype})",
            "save tensor.dequantize() in its place, or the weights before quantisation",
        ),
        (tensor.is_complex(), "holds complex numbers", "save real ones"),
        (
            str(tensor.layout) != "torch.strided",
            f"is sparse ({tensor.layout})",
            "save tensor.to_dense() in its place",
        ),
    )
    for is_so, found, hint in faults:
        if is_so:
            raise InputError(path, f"{name} {found}", hint)
