"""Runs a sweep on this machine: python -m launch.sweep configs/ablations/loss.py."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

from absl import app, flags

from launch import plan
from tfds_builders.common.errors import InputError

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder that gets one workdir per run.", required=True
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the commands and stop.")


def main(argv: list[str]) -> int:
    try:
        if len(argv) < 2:
            raise InputError(
                "command line",
                "no config is given",
                "python -m launch.sweep configs/ablations/loss.py --workdir=runs/loss",
            )
        return run(argv[1], pathlib.Path(_WORKDIR.value), argv[2:], _DRY_RUN.value)
    except InputError as error:
        print(f"\nerror: {error}", file=sys.stderr, flush=True)
        return 1


def run(config: str, folder: pathlib.Path, extra: list[str], dry_run: bool) -> int:
    """Runs what is not finished yet, one after another; -> the number that failed.

    Args:
      config: file with `get_config` and `sweep(add)`.
      folder: each run gets `folder/<name>`.
      extra: further `--config.key=value` for every run, after a `--`.
      dry_run: print instead.
    """
    runs = plan.load(config)
    failed = []
    for number, each in enumerate(runs, 1):
        command = command_of(config, folder / each.name, each.overrides, extra)
        print(f"[{number}/{len(runs)}] {each.name}", flush=True)
        if dry_run:
            print("  " + " ".join(command), flush=True)
        elif (folder / each.name / "results.json").exists():
            print("  finished before", flush=True)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            _note(folder / each.name, each.overrides)
            if subprocess.run(command, check=False).returncode:
                failed.append(each.name)
    if failed:
        print(f"\n{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}")
    elif not dry_run:
        print(f"\nall {len(runs)} runs are finished: python -m launch.collect {folder}")
    return 1 if failed else 0


def command_of(config, workdir, overrides, extra) -> list[str]:
    """The command of one run, as a person could type it."""
    return [
        sys.executable,
        "-m",
        "cxr_jax.main",
        f"--config={config}",
        f"--workdir={workdir}",
        *(f"--config.{key}={value}" for key, value in overrides.items()),
        *extra,
    ]


def _note(workdir: pathlib.Path, overrides) -> None:
    # `collect` groups by these; config.json alone does not say what was varied.
    workdir.mkdir(exist_ok=True)
    (workdir / "overrides.json").write_text(json.dumps(overrides, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
