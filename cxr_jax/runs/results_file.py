"""`results.json` and the files of evaluations, read as they were written.

Imports nothing that takes time: what opens a run reads these first.
"""

from __future__ import annotations

import pathlib
from typing import Any

from cxr_jax.runs import forms, seal
from tfds_builders.common import files
from tfds_builders.common.forms import RESTORE, check


def read(
    path: pathlib.Path,
    form: Any = forms.RESULTS,
    *,
    missing: str = RESTORE,
    damaged: str = RESTORE,
) -> dict[str, Any]:
    """What `results.save` wrote, where nothing of it was edited since.

    Args:
      path: of results.json or of an evaluation.
      form: of `forms`, what the reader needs.
      missing, damaged: what to do if it does not exist, or is not what was written.

    Raises:
      InputError: names the file, the key, or the file beside it that was edited.
    """
    content = files.read_json(path, missing=missing, damaged=damaged)
    seal.check(path, content)
    check(path, content, form, damaged)
    return content


def check_finished(workdir: pathlib.Path) -> None:
    """Where a run is finished, refuses what was edited since."""
    path = workdir / "results.json"
    if path.exists():
        read(path, forms.FINISHED)


def has_begun(workdir: pathlib.Path) -> bool:
    """There is something in it that belongs to a config and to data."""
    kept = list(workdir.glob("checkpoints/[0-9]*"))
    return bool(kept) or (workdir / "results.json").exists()
