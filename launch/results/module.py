"""A row that is a program of its own: it leaves its figures in a JSON file."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import time
from typing import Any

from cxr_jax.bundle import digests
from cxr_jax.stats.estimate import Estimate
from cxr_jax.train.signals import LAUNCHER
from tfds_builders.common import files, forms
from tfds_builders.common.errors import InputError

from .. import attempts
from .arms import FULL, Settings
from .measured import Figures
from .row import HONEST, Row

# What the command is told, where the program calls it by another name.
_GIVEN = {"brixia": "data"}
_HOW = (
    "make results DATA=FOLDER WEIGHTS=FILE; tfds_builders/brixia_public/README.md and "
    "docs/weights.md say how to get them"
)
_RESULT = "out_of_fold.json"
_CONSTANT = "constant median"
_ESTIMATES = forms.Each({"value": (*forms.REAL, None), "n": int})
_FORM = {"metrics": _ESTIMATES, "rows": forms.Each(_ESTIMATES), "patients": int}


def run(row: Row, settings: Settings, flags: dict[str, Any]) -> dict[str, Figures]:
    """Runs `python -m launch.results.<module> --out=<folder> ...`, unless its result is there.

    Args:
      flags: more flags of the program, {'brixia': folder}; None is not given.

    Raises:
      InputError: there is no such program, it needs something, or it failed.
    """
    # `launch.results` from a checkout, `cxr_jax.launch.results` where it is installed.
    program = f"{__package__}.{row.module}"
    if importlib.util.find_spec(program) is None:
        raise InputError(program, "there is no such program", "update the code")
    folder = settings.folder / row.name
    begun = time.monotonic()
    if not (folder / _RESULT).exists() and settings.start:
        given = {**flags, "out": folder, "weights": settings.weights}
        for name, value in given.items():
            if value is None:
                raise InputError(f"--{_GIVEN.get(name, name)}", "is not given", _HOW)
        _start(program, given, settings.quick, folder)
    advice = f"remove {folder}, and run the same command again"
    if not (folder / _RESULT).exists():
        raise InputError(row.name, "not run", "run the same command again to resume")
    content = forms.read(folder / _RESULT, _FORM, missing=advice, damaged=advice)
    whole = settings.folder.with_name(FULL) / row.name
    # The bundle of short trainings does not take the place of that of the whole ones.
    best = whole if (whole / digests.SUMS).exists() else folder
    leave(best, settings.folder.parent.with_name(row.name))
    rows = {name: _estimates(row) for name, row in content["rows"].items()}
    estimates = _estimates(content["metrics"])
    seeds = [row for name, row in rows.items() if name.startswith("seed ")]
    found = Figures(
        estimates,
        {
            name: [row[name].value for row in seeds]
            for name in estimates
            if seeds
            and all(name in row for row in seeds)  # not of a seed alone: coverage
        },
        {name: each.value for name, each in rows.get(_CONSTANT, {}).items()},
        max(each.n for each in estimates.values()),
        content["patients"],
        "patients",
        (time.monotonic() - begun) / 60,
        folder,
    )
    return {HONEST: found}


def leave(made: pathlib.Path, target: pathlib.Path) -> None:
    """Copies the bundle in `made`, where there is one, to the folder that docs name.

    Raises:
      InputError: something else is there.
    """
    if not (made / digests.SUMS).exists():
        return
    if target.exists() and not (target / digests.SUMS).exists():
        raise InputError(target, "is not a bundle", "move it, for the bundle to come")
    new = target.with_name(f".{target.name}.new")
    with files.explained(target):
        shutil.rmtree(new, ignore_errors=True)
        for name in (*digests.sums(made), digests.SUMS):
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made / name, new / name)
        shutil.rmtree(target, ignore_errors=True)
        new.rename(target)


def _estimates(found: dict[str, Any]) -> dict[str, Estimate]:
    return {name: Estimate.from_json(each) for name, each in found.items()}


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
