"""The sweeps that a folder holds: which runs each asked for, in `plans/<sweep>.json`."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from tfds_builders.common import files, forms
from tfds_builders.common.errors import InputError

from . import plan
from .jobs import PART, Part

FOLDER = "plans"
_FORM = {"config": str, "question": str, "extra": list, "runs": list}
_ADVICE = "run the sweep again, which writes it"


def save(
    folder: pathlib.Path, config: str, extra: Sequence[str], parts: Sequence[Part]
) -> None:
    """Writes what a sweep asks for; it replaces what the same file asked for before."""
    path = pathlib.PurePath(config.partition(":")[0]).stem
    argument = config.partition(":")[2]
    name = f"{path}:{argument}" if argument else path
    name = "".join(c if c.isalnum() or c in "=,.-_+" else "_" for c in name)[:100]
    content = {
        "config": config,
        "question": plan.question(config),
        "extra": list(extra),
        "runs": [part._asdict() for part in parts],
    }
    text = json.dumps(content, indent=1) + "\n"
    files.write_text(folder / FOLDER / f"{name}.json", text)


def read(folder: pathlib.Path) -> list[Part]:
    """The runs of all sweeps of a folder, each folder once.

    Raises:
      InputError: the folder holds no sweep, or a file is damaged.
    """
    paths = _paths(folder)
    if not paths:
        found = "there is no such folder" if not folder.is_dir() else "holds no sweep"
        raise InputError(folder, found, "give the --workdir of a sweep")
    parts: dict[str, Part] = {}
    for path in paths:
        for each in _content(path)["runs"]:
            forms.check(path, each, PART, _ADVICE)
            part = Part(**{key: each[key] for key in PART})
            parts.setdefault(part.folder, part)
    return list(parts.values())


def holds(folder: pathlib.Path) -> bool:
    """Whether a sweep was started in the folder."""
    return bool(_paths(folder))


def questions(folder: pathlib.Path) -> list[str]:
    """What the sweeps of a folder ask, one line each; [] where it holds none."""
    found = [_content(path)["question"] for path in _paths(folder)]
    return [each for each in dict.fromkeys(found) if each]


def _paths(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted((folder / FOLDER).glob("*.json"))


def _content(path: pathlib.Path) -> dict[str, Any]:
    return forms.read(path, _FORM, missing=_ADVICE, damaged=_ADVICE)
