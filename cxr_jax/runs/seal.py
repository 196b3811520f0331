"""What a run wrote is what is read: digests in `results.json` of the files beside it.

Whatever else is in them may differ between two runs that are equal to the bit, so
speed is left out of metrics.jsonl, and provenance.json carries a digest of its own.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

from cxr_jax.devices.terminal import warn
from cxr_jax.runs import digest
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import RESTORE, read_lines

_OF_RUN = ("config.json", "splits.json", "metrics.jsonl", "checkpoints/best.json")


def made(path: pathlib.Path, content: dict[str, Any]) -> dict[str, Any]:
    """The content of results.json or an evaluation, with digests of all it rests on.

    Args:
      path: that it is about to be written to; the other files are there.
      content: anything that JSON can hold.
    """
    content = json.loads(json.dumps(content))
    root = _root(path)
    found = {
        name: _digest(root / name)
        for name in _names(path, content)
        if (root / name).is_file()
    }
    return digest.seal({**content, "sealed": found})


def check(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Refuses what was edited since; a file that is missing is for its reader to say.

    Args:
      path: of results.json or of an evaluation.
      content: read from it.

    Raises:
      InputError: names the file that was edited.
    """
    check_own(path, content)
    for name, wanted in content.get("sealed", {}).items():
        file = _root(path) / name
        if file.is_file() and _digest(file) != wanted:
            raise _edited(file)


def check_own(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Of a JSON file that carries its own digest; says where there is none.

    Raises:
      InputError: it was edited, or its digest was removed.
    """
    if "digest" in content:
        if not digest.is_sealed(content):
            raise _edited(path)
    elif _is_due(path, content):
        raise InputError(
            path,
            "was edited: its digest is missing, and the files beside it have theirs",
            RESTORE,
        )
    else:
        warn(
            f"WARNING: {path} has no digest (an earlier version of cxr_jax wrote it): "
            "whether it was edited cannot be told"
        )


def _is_due(path: pathlib.Path, content: dict[str, Any]) -> bool:
    """A version that seals wrote it: other traces of one are there."""
    root = _root(path)
    others = {root / "results.json", root / "provenance.json"} - {path}
    return (
        "sealed" in content
        or (root / "splits.json").is_file()
        or any(map(_has_digest, others))
    )


def _has_digest(path: pathlib.Path) -> bool:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False  # its own reader says so
    return isinstance(content, dict) and "digest" in content


def _edited(path: pathlib.Path) -> InputError:
    return InputError(
        path, "was edited: it is not what the run wrote, or is damaged", RESTORE
    )


def _root(path: pathlib.Path) -> pathlib.Path:
    is_nested = path.parent.name == "evaluations"
    return path.parent.parent if is_nested else path.parent


def _names(path: pathlib.Path, content: dict[str, Any]) -> list[str]:
    if path.parent.name == "evaluations":
        return [f"predictions/{path.stem}.csv"]
    dataset = str(content.get("dataset", "")).split("/")[0]
    own = [f"predictions/{dataset}-{role}.csv" for role in ("val", "test")]
    return [*_OF_RUN, *own]


def _digest(path: pathlib.Path) -> str:
    try:
        if path.suffix != ".jsonl":
            return files.sha256(path)
        rows = read_lines(path)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}", RESTORE) from error
    timeless = [{k: v for k, v in r.items() if k != "images_per_second"} for r in rows]
    return hashlib.sha256(json.dumps(timeless, sort_keys=True).encode()).hexdigest()
