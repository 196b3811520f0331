"""A row that is a program of its own: it leaves its figures in a JSON file."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

from cxr_jax.stats.estimate import Estimate
from cxr_jax.train.signals import LAUNCHER
from tfds_builders.common import files, forms
from tfds_builders.common.errors import InputError

from .. import attempts
from .arms import Settings
from .measured import Figures
from .row import HONEST, Row

_RESULT = "out_of_fold.json"
_FORM = {
    "metrics": forms.Each({"value": forms.REAL, "n": int}),
    "patients": int,
}


def run(row: Row, settings: Settings, flags: dict[str, Any]) -> dict[str, Figures]:
    """Runs `python -m <module> --out=<folder> ...`, unless its result is there.

    Args:
      flags: more flags of the program, {'brixia': folder}; None is not given.

    Raises:
      InputError: there is no such program, it needs something, or it failed.
    """
    if importlib.util.find_spec(row.module) is None:
        raise InputError(row.module, "there is no such program", "update the code")
    folder = settings.folder / row.name
    begun = time.monotonic()
    if not (folder / _RESULT).exists():
        given = {**flags, "out": folder, "weights": settings.weights}
        for name, value in given.items():
            if value is None:
                raise InputError(f"--{name}", "is not given", f"{row.name} needs it")
        _start(row.module, given, settings.quick, folder)
    advice = f"remove {folder}, and run the same command again"
    content = forms.read(folder / _RESULT, _FORM, missing=advice, damaged=advice)
    estimates = {
        name: Estimate.from_json({"lo": None, "hi": None, **found})
        for name, found in content["metrics"].items()
    }
    images = max(each.n for each in estimates.values())
    minutes = (time.monotonic() - begun) / 60
    found = Figures(
        estimates, {}, {}, images, content["patients"], "patients", minutes, folder
    )
    return {HONEST: found}


def _start(module: str, given: dict[str, Any], quick: bool, folder: pathlib.Path):
    """Waits for the program, which ends when this one does."""
    log = folder / attempts.LOG
    command = [sys.executable, "-m", module]
    command += [f"--{name}={value}" for name, value in given.items()]
    command += ["--quick"] * quick
    with files.explained(log):
        folder.mkdir(parents=True, exist_ok=True)
    read, write = os.pipe()
    try:
        with log.open("ab") as file:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | {LAUNCHER: str(read)},
                pass_fds=(read,),
                check=False,
            ).returncode
    finally:
        os.close(read)
        os.close(write)
    if code:
        last = " / ".join(attempts.last_lines(folder)[-2:])
        raise InputError(module, f"{attempts.reason(code)}: {last}", f"see {log}")
