"""What a backend starts: one command for one run, or for several that share a program."""

from __future__ import annotations

import json
import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tfds_builders.common import files, forms

from . import attempts, progress, unique
from .plan import Run


class Part(NamedTuple):
    """One run within a job.

    Attributes:
      name: as the sweep calls it.
      folder: name of its workdir in that of the sweep.
      digest: of its config.
      overrides: what the sweep changed.
      setting: of `plan.Run`.
    """

    name: str
    folder: str
    digest: str
    overrides: dict[str, Any]
    setting: str = ""


class Job(NamedTuple):
    """One process to start.

    Attributes:
      parts: the runs that it trains.
      command: program and arguments.
      log: where its output goes, relative to the folder of the sweep.
      shares: the runs are members of one program.
      result: the file in the workdir of a run that says that it is finished.
    """

    parts: tuple[Part, ...]
    command: tuple[str, ...]
    log: str
    shares: bool = False
    result: str = progress.RESULTS


_MEMBERS = "members.json"
PART = {
    "name": str,
    "folder": str,
    "digest": str,
    "overrides": dict,
    "setting": str,
}
_FORM = {"folder": str, "jobs": list}
_JOB = {"parts": list, "command": list, "log": str, "shares": bool, "result": str}


def part(run: Run) -> Part:
    """What a job needs to know of a run."""
    digest = unique.digest(run.config)
    return Part(run.name, run.folder, digest, run.overrides, run.setting)


def alone(config: str, folder: pathlib.Path, run: Run, extra: Sequence[str]) -> Job:
    """The job of a run that has a program of its own."""
    command = command_of(config, folder / run.folder, run.overrides, extra)
    return Job((part(run),), tuple(command), f"{run.folder}/{attempts.LOG}")


def together(
    config: str, folder: pathlib.Path, runs: Sequence[Run], extra: Sequence[str]
) -> Job:
    """The job of runs that are members of one program; their folders lie in one."""
    first = runs[0].folder
    members = folder / first / _MEMBERS
    beside = folder / pathlib.PurePath(first).parent
    command = command_of(config, beside, {}, [*extra, f"--members={members}"])
    log = f"{first}/{attempts.LOG}"
    return Job(tuple(map(part, runs)), tuple(command), log, shares=True)


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


def prepare(folder: pathlib.Path, job: Job) -> None:
    """Writes what the command reads, and what `collect` groups runs by."""
    for each in job.parts:
        path = folder / each.folder / "overrides.json"
        # The folder of a run that another sweep has begun says what that one changed.
        if each.folder == each.name or not path.exists():
            _keep(path, each.overrides)
    if job.shares:
        members = {
            pathlib.PurePath(each.folder).name: each.overrides for each in job.parts
        }
        _keep((folder / job.log).with_name(_MEMBERS), members)


def _keep(path: pathlib.Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2) + "\n"
    if not path.exists() or path.read_text() != text:
        files.write_text(path, text)


def standing(folder: pathlib.Path, job: Job) -> dict[str, progress.Progress]:
    """{name: how far it is} of the runs of a job that no process is at work on."""
    return {
        each.name: progress.of(folder / each.folder, each.digest, job.result)
        for each in job.parts
    }


def title(job: Job) -> str:
    """'loss=ordinal,seed=0', or of several 'loss=ordinal,seed=0 and 4 more'."""
    more = len(job.parts) - 1
    return job.parts[0].name + (f" and {more} more" if more else "")


def line(job: Job) -> str:
    """The command as a shell takes it."""
    return shlex.join(job.command)


def text(folder: pathlib.Path, jobs: Sequence[Job]) -> str:
    """Jobs as JSON for `launch.work`, which a scheduler starts elsewhere."""
    content = {
        "folder": str(folder),
        "jobs": [
            {**each._asdict(), "parts": [p._asdict() for p in each.parts]}
            for each in jobs
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def read(path: pathlib.Path) -> tuple[pathlib.Path, list[Job]]:
    """(folder of the sweep, jobs) of `text`.

    Raises:
      InputError: the file is not there, or is damaged.
    """
    advice = "submit the sweep again"
    content = forms.read(path, _FORM, missing=advice, damaged=advice)
    found = []
    for each in content["jobs"]:
        forms.check(path, each, _JOB, advice)
        for inner in each["parts"]:
            forms.check(path, inner, PART, advice)
        parts = tuple(Part(**{key: p[key] for key in PART}) for p in each["parts"])
        own = {key: each[key] for key in ("log", "shares", "result")}
        found.append(Job(parts, tuple(each["command"]), **own))
    return pathlib.Path(content["folder"]), found
