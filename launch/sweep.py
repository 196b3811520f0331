"""Runs a sweep on this machine: python -m launch.sweep configs/ablations/loss.py."""

from __future__ import annotations

import json
import pathlib
import shlex
import signal
import sys

from absl import flags

from cxr_jax.train.signals import listening
from tfds_builders.common import command, files, places
from tfds_builders.common.errors import InputError

from . import child, plan

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for the workdirs of the runs.", required=True
)
_TOGETHER = flags.DEFINE_bool(
    "together",
    False,
    "Train all runs side by side in one program; they may differ in seed, fold, rate, "
    "weight decay, strength of augmentation and label noise.",
)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Print the commands without running them."
)

_RESUME = "run the same command again to resume"
# `launch` from a checkout, `cxr_jax.launch` where it is installed.
_COLLECT = f"python -m {__package__}.collect"


def main(argv: list[str]) -> int:
    if len(argv) < 2:
        raise InputError(
            "command line",
            "does not name a config",
            f"python -m {__package__}.sweep loss.py --workdir=runs/loss",
        )
    folder = places.expanded(_WORKDIR.value)
    start = run_together if _TOGETHER.value else run
    return start(argv[1], folder, argv[2:], _DRY_RUN.value)


def run(config: str, folder: pathlib.Path, extra: list[str], dry_run: bool) -> int:
    """Runs everything that is not finished yet, one run after another.

    A finished run is started too: it returns at once, or refuses other settings.

    Args:
      config: see `plan.load`.
      folder: the workdir of a run is `folder/<name>`.
      extra: more overrides for every run, `--config.key=value`, given after a `--`.
      dry_run: print the commands instead of running them.

    Returns:
      The exit code: 0 if all runs finished, 1 if some failed, 128 + the signal (130 for
      Ctrl-C, 143 for SIGTERM) if the sweep or one of its runs was stopped.
    """
    runs = plan.load(config)
    _check_extra(extra, runs)
    failed = []
    with listening(patient=True) as stop:
        for number, each in enumerate(runs, 1):
            print(f"[{number}/{len(runs)}] {each.name}", flush=True)
            workdir = folder / each.name
            arguments = command_of(config, workdir, each.overrides, extra)
            if dry_run:
                print("  " + shlex.join(arguments), flush=True)
                continue
            # `collect` groups by these; config.json does not record what was varied.
            note = json.dumps(each.overrides, indent=2) + "\n"
            files.write_text(workdir / "overrides.json", note)
            before = (workdir / "results.json").exists()
            code = child.follow(arguments, stop.received)
            finished = (workdir / "results.json").exists()
            asked = stop.signal or child.asked_by(code, finished)
            if asked is not None:
                _report_failed(failed, number)
                print(
                    f"\n{asked.name}: stopped at run {number} of {len(runs)}, "
                    f"{each.name}; {_RESUME}",
                    flush=True,
                )
                return 128 + asked
            if code:
                failed.append(each.name)
                print(f"  failed: {_reason(code)}", flush=True)
            else:
                print("  already finished" if before else "  finished", flush=True)
    _report_failed(failed, len(runs))
    if not failed and not dry_run:
        print(f"\nall {len(runs)} runs are finished: {_COLLECT} {folder}")
    return 1 if failed else 0


def run_together(
    config: str, folder: pathlib.Path, extra: list[str], dry_run: bool
) -> int:
    """Trains all runs together, as members of one program; see `run`."""
    runs = plan.load(config)
    _check_extra(extra, runs)
    overrides = {each.name: each.overrides for each in runs}
    path = folder / "members.json"
    arguments = [*command_of(config, folder, {}, extra), f"--members={path}"]
    if dry_run:
        print(shlex.join(arguments), flush=True)
        return 0
    files.write_text(path, json.dumps(overrides, indent=2) + "\n")
    with listening(patient=True) as stop:
        code = child.follow(arguments, stop.received)
    finished = all((folder / name / "results.json").exists() for name in overrides)
    asked = stop.signal or child.asked_by(code, finished)
    if asked is not None:
        print(f"\n{asked.name}: stopped; {_RESUME}", flush=True)
        return 128 + asked
    if code:
        print(f"\nthe members failed: {_reason(code)}", flush=True)
        return 1
    print(f"\nall {len(runs)} runs are finished: {_COLLECT} {folder}")
    return 0


def command_of(config, workdir, overrides, extra) -> list[str]:
    """The command line of one run, as a person would type it."""
    return [
        sys.executable,
        "-m",
        "cxr_jax.main",
        f"--config={config}",
        f"--workdir={workdir}",
        *(f"--config.{key}={value}" for key, value in overrides.items()),
        *extra,
    ]


def _check_extra(extra: list[str], runs: list[plan.Run]) -> None:
    varied = {key for each in runs for key in each.overrides}
    for text in extra:
        key = text.partition("=")[0].removeprefix("--config.")
        if text.startswith("--config.") and key in varied:
            raise InputError(text, "the sweep itself sets this key", "omit it")
        if text.startswith("-") and not text.startswith(("--config.", "--noconfig.")):
            raise InputError(
                text, "is not an override", "after -- use --config.key=value"
            )


def _report_failed(failed: list[str], of: int) -> None:
    if failed:
        print(f"\n{len(failed)} of {of} runs failed: {', '.join(failed)}", flush=True)


def _reason(code: int) -> str:
    return f"exit code {code}" if code > 0 else signal.Signals(-code).name


if __name__ == "__main__":
    command.run(
        main,
        hint="see --help; overrides for every run come last: -- --config.total=2epochs",
    )
