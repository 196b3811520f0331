"""Weights in .safetensors, by the names that PyTorch gave them.

A length, a JSON header {name: type, shape, offsets}, and the numbers one after another:
https://huggingface.co/docs/safetensors. Read here, since the package's own reader for
NumPy knows neither 8-bit floats nor bfloat16 everywhere.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import ml_dtypes
import numpy as np

from cxr_jax.weights import claims
from cxr_jax.weights.claims import Contents
from tfds_builders.common.errors import InputError

_TYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype(bool),
}
# Longest header that the format allows.
_LONGEST = 100_000_000


def is_one(start: bytes) -> bool:
    """Whether a file that starts so is one: the length of a JSON header, then it."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 27


def read(path: pathlib.Path) -> Contents:
    """The arrays, 8-bit floats and bfloat16 as float32.

    Raises:
      InputError: a damaged file, or a type that NumPy has no name for.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, _LONGEST))
        data = file.read()
    header = _header(path, text, length)
    arrays, end = {}, 0
    entries = [(name, *_entry(path, name, entry)) for name, entry in header.items()]
    for name, dtype, shape, (start, stop) in sorted(entries, key=lambda e: e[3]):
        if (
            start != end
            or stop > len(data)
            or stop - start != claims.bytes_of(shape, dtype.itemsize)
        ):
            raise _damaged(
                path,
                f"{name}, {dtype} of the shape {shape}, cannot lie at the bytes {start} "
                f"to {stop} of {len(data):,}",
            )
        end = stop
        array = np.frombuffer(data[start:stop], dtype).reshape(shape)
        # Types of ml_dtypes: most of NumPy does not know them.
        is_foreign = dtype.type.__module__ != "numpy"
        arrays[name] = array.astype(np.float32) if is_foreign else array
    if end != len(data):
        raise _damaged(path, f"{len(data) - end:,} bytes at its end belong to no array")
    return Contents({name: arrays[name] for name in header})


def _header(path: pathlib.Path, text: bytes, length: int) -> dict[str, Any]:
    if len(text) < length:
        raise _damaged(path, f"its header should have {length:,} bytes")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(
            path, f"its header is not valid JSON: {str(error)[:100]}"
        ) from None
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a JSON object")
    if not isinstance(header.pop("__metadata__", {}), dict):
        raise _damaged(path, "its metadata is not a JSON object")
    return header


def _entry(path: pathlib.Path, name: str, entry: Any):
    """-> (type, shape, (first byte, last byte))."""
    try:
        kind, shape = entry["dtype"], tuple(entry["shape"])
        start, stop = entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise _damaged(path, f"the entry of {name} is not of the format") from None
    if not all(type(n) is int and n >= 0 for n in (*shape, start, stop)):
        raise _damaged(path, f"the shape or place of {name} is no row of numbers")
    if kind not in _TYPES:
        raise InputError(
            path,
            f"{name} is of the type {kind!r}, which is not read",
            f"save it as F32; also read: {', '.join(_TYPES)}",
        )
    return _TYPES[kind], shape, (start, stop)


def _damaged(path: pathlib.Path, why: str) -> InputError:
    return InputError(path, f"is damaged ({why})", "download it again")
