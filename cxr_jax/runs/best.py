"""Which checkpoint of a run was best on val: `best.json` beside the checkpoints."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from cxr_jax.runs import forms
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import RESTORE
from tfds_builders.common.forms import read as read_checked


def write(folder: pathlib.Path, best: dict[str, Any] | None) -> None:
    """Notes it, for people and for `read`; None removes the note."""
    path = folder / "best.json"
    if best:
        files.write_text(path, json.dumps(best, indent=2) + "\n")
    else:
        with files.explained(path):
            path.unlink(missing_ok=True)


def read(folder: pathlib.Path) -> dict[str, Any]:
    """The record of the best evaluation: step, metric, value, decision.

    Raises:
      InputError: nothing was evaluated yet.
    """
    return read_checked(
        folder / "best.json",
        forms.NOTED,
        missing="no checkpoint was evaluated on val yet; train first: "
        "python -m cxr_jax.main --config=... --workdir=...",
    )


def check(folder: pathlib.Path, noted: dict[str, Any], saved: dict[str, Any]) -> None:
    """Raises InputError where a note is not what its checkpoint, which is sealed, says."""
    if noted != saved:
        raise InputError(
            folder / "best.json",
            f"was edited: it is not what the checkpoint of step {noted['step']} says",
            RESTORE,
        )
