"""The files of a bundle: their names, their digests, and how large they may be."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
from typing import Any

from tfds_builders.common import files
from tfds_builders.common.errors import InputError

BUNDLE, PREPROCESS, GATE = "bundle.json", "preprocess.json", "gate.json"
SUMS = "SHA256SUMS"
GOLDEN, VERIFICATION = "golden/golden.json", "verification.json"
WEIGHTS, CARD = "weights.npz", "card.html"
# {variant: file}; the first is always there.
MODELS = {
    "float32": "model.onnx",
    "float16": "model_float16.onnx",
    "int8": "model_int8.onnx",
}
MOST_JSON = 64 << 20  # bytes
MOST_MODEL = 2 << 30  # protobuf reads no more
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
AGAIN = "copy the bundle again, or export it again; nothing in it is meant to be edited"


def sums(folder: pathlib.Path) -> dict[str, str]:
    """{file: SHA-256} that a bundle's SHA256SUMS names.

    Raises:
      InputError: the folder is not a bundle, or the list is damaged.
    """
    path = folder / SUMS
    if not folder.is_dir() or not path.is_file():
        what = "is not a folder" if not folder.is_dir() else f"has no {SUMS}"
        hint = "give a folder that --mode=export made"
        raise InputError(folder, f"{what}: it is not a bundle", hint)
    text = read_limited(path, MOST_JSON).decode("utf-8", errors="replace")
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        inside = match and _is_inside(match[2])
        if not match or not inside or match[2] in found:
            raise InputError(path, f"line {number} is {line[:100]!r}", AGAIN)
        found[match[2]] = match[1]
    return found


def _is_inside(name: str) -> bool:
    path = pathlib.PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def check(folder: pathlib.Path) -> dict[str, str]:
    """`sums`, after every file was compared with them.

    Raises:
      InputError: names the file that is missing, or is not what was exported.
    """
    found = sums(folder)
    for name, digest in found.items():
        path = folder / name
        if not path.is_file():
            raise InputError(path, "is missing", AGAIN)
        if files.sha256(path) != digest:
            raise _changed(path)
    return found


def read(folder: pathlib.Path, known: dict[str, str], name: str, most: int) -> bytes:
    """The content of a file that `known`, of `sums`, names; what was checked is read.

    Raises:
      InputError: it is not named, missing, changed, or larger than `most` bytes.
    """
    path = folder / name
    if name not in known:
        raise InputError(folder / SUMS, f"does not name {name}", AGAIN)
    data = read_limited(path, most)
    if hashlib.sha256(data).hexdigest() != known[name]:
        raise _changed(path)
    return data


def read_json(folder: pathlib.Path, known: dict[str, str], name: str) -> Any:
    """The same of JSON: an object."""
    data = read(folder, known, name, MOST_JSON)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(folder / name, f"is not valid JSON: {error}", AGAIN) from None
    if not isinstance(found, dict):
        raise InputError(folder / name, "holds no object", AGAIN)
    return found


def read_limited(path: pathlib.Path, most: int) -> bytes:
    """All of a file of at most `most` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(path, error.strerror or str(error), AGAIN) from None
    if len(data) > most:
        raise InputError(path, f"is larger than {most:,} bytes", AGAIN)
    return data


def _changed(path: pathlib.Path) -> InputError:
    return InputError(path, f"is not the file that {SUMS} names: it was changed", AGAIN)
