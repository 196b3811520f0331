"""Runs a sweep: python -m launch.sweep configs/ablations/loss.py --workdir=runs/loss."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from absl import flags

from cxr_jax.devices.terminal import say, warn
from cxr_jax.runs import text_table
from tfds_builders.common import command
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded

from . import (
    attempts,
    cluster,
    grouping,
    jobs,
    kubernetes,
    local,
    plan,
    register,
    unique,
)
from . import slots as slots_lib
from . import slurm as slurm_lib
from .jobs import Job, Part
from .live_table import failures, summary
from .progress import OVER

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for the workdirs of the runs.", required=True
)
_BACKEND = flags.DEFINE_enum(
    "backend",
    "local",
    ["local", "members", "auto", "slurm", "kubernetes"],
    "local: a process for each run, --parallel at a time. members: runs that differ only "
    "in seed, fold, rate, weight decay, strength of augmentation and label noise share a "
    "program. auto: chooses one of these, and says why. slurm: an array job. kubernetes: "
    "prints an Indexed Job, and sends nothing.",
)
_PARALLEL = flags.DEFINE_integer(
    "parallel",
    1,
    "Processes at a time, which share the cores and the GPUs; of a scheduler, jobs.",
)
_CLUSTER = flags.DEFINE_string(
    "cluster", "", "With slurm and kubernetes: a TOML file of settings; docs/sweeps.md."
)
_PARTITION = flags.DEFINE_string(
    "partition", None, "With slurm, instead of the file's."
)
_TIME = flags.DEFINE_string(
    "time", None, "With slurm: the limit of one run, as 4:00:00."
)
_GRES = flags.DEFINE_string("gres", None, "With slurm: what a run needs, as gpu:1.")
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Print the commands without running them."
)

_RESUME = "run the same command again to resume"
_AGAIN = (
    "a damaged result is not overwritten: restore it; or remove the folder of its run, "
    "and the same command trains it again"
)


class Asked(NamedTuple):
    """What the command line asks for.

    Attributes:
      config: see `plan.load`.
      folder: the workdir of a run is `folder/<name>`.
      extra: more overrides for every run, `--config.key=value`, given after a `--`.
      parallel: processes at a time.
      dry_run: print the commands instead of running them.
      settings: {'path': of the file of --cluster, 'partition': ..., 'time': ..., 'gres': ...}.
    """

    config: str
    folder: pathlib.Path
    extra: Sequence[str] = ()
    parallel: int = 1
    dry_run: bool = False
    settings: Mapping[str, str | None] = MappingProxyType({})


def main(argv: list[str]) -> int:
    if len(argv) < 2:
        raise InputError(
            "command line",
            "does not name a config",
            # `launch` from a checkout, `cxr_jax.launch` where it is installed.
            f"python -m {__package__}.sweep loss.py --workdir=runs/loss",
        )
    if _PARALLEL.value < 1:
        raise InputError("--parallel", f"is {_PARALLEL.value}", "give 1 or more")
    _check_flags(_BACKEND.value)
    given = {"partition": _PARTITION.value, "time": _TIME.value, "gres": _GRES.value}
    asked = Asked(
        argv[1],
        expanded(_WORKDIR.value),
        argv[2:],
        _PARALLEL.value,
        _DRY_RUN.value,
        {"path": _CLUSTER.value, **given},
    )
    return run(asked, _BACKEND.value)


def _check_flags(backend: str) -> None:
    """Raises InputError for a flag that the backend would not heed."""
    schedulers = ("slurm", "kubernetes")
    for flag in (_PARTITION, _TIME, _GRES, _CLUSTER):
        takes = schedulers if flag is _CLUSTER else schedulers[:1]
        if flag.value and backend not in takes:
            raise InputError(
                f"--{flag.name}",
                f"belongs to --backend={' or '.join(takes)}, and it is {backend}",
                "omit it, or set --backend",
            )


def run(asked: Asked, backend: str = "local") -> int:
    """Runs or submits everything that is not finished yet.

    Returns:
      The exit code: 0 if all runs are finished, or submitted; 1 if some are not; 128 +
      the signal (130 for Ctrl-C, 143 for SIGTERM) if the sweep was stopped.
    """
    runs = unique.placed(plan.load(asked.config, asked.extra), asked.folder)
    if backend == "auto":
        backend, why = grouping.choose(runs)
        say(f"--backend={backend}: {why}")
    for each in runs:
        if each.folder != each.name:
            # Beside the documents of Kubernetes, which go into a pipe.
            warn(f"{each.name} has the config of {each.folder}: it is run once, there")
    made = make_jobs(asked, runs, share=backend == "members")
    return _BACKENDS[backend](asked, made, [jobs.part(each) for each in runs])


def make_jobs(asked: Asked, runs: Sequence[plan.Run], *, share: bool) -> list[Job]:
    """The processes to start, in the order of the runs; each config once."""
    once: dict[str, plan.Run] = {}
    for each in runs:
        once.setdefault(each.folder, each)
    left = list(once.values())
    groups = grouping.groups(left) if share else [[each] for each in left]
    return [
        jobs.together(asked.config, asked.folder, group, asked.extra)
        if len(group) > 1
        else jobs.alone(asked.config, asked.folder, group[0], asked.extra)
        for group in groups
    ]


def _print(made: Sequence[Job]) -> int:
    for number, job in enumerate(made, 1):
        say(f"[{number}/{len(made)}] {jobs.title(job)}\n  {jobs.line(job)}")
    return 0


def _local(asked: Asked, made: list[Job], parts: list[Part]) -> int:
    if asked.dry_run:
        return _print(made)
    register.save(asked.folder, asked.config, asked.extra, parts)
    places = slots_lib.share(asked.parallel, slots_lib.cores(), slots_lib.gpus())
    found, signal = local.run(asked.folder, made, places)
    ends = {
        part.name: _end(asked.folder, part)
        for job in made
        for part in job.parts
        if found[part.name].state == "failed"
    }
    if ends or any(each.state == "damaged" for each in found.values()):
        say(f"\n{failures(found, ends)}")
    say(f"\n{summary(found)}")
    if signal is not None:
        say(f"{signal.name}: stopped; {_RESUME}")
        return 128 + signal
    if all(each.state == "finished" for each in found.values()):
        say(f"python -m {__package__}.collect {asked.folder}")
        return 0
    say(_AGAIN if all(each.state in OVER for each in found.values()) else _RESUME)
    return 1


def _end(folder: pathlib.Path, part: Part) -> list[str]:
    tried = attempts.read(folder / part.folder)
    log = tried[-1].log if tried else attempts.LOG
    return attempts.last_lines(folder / part.folder, log)


def _left(asked: Asked, made: list[Job]) -> list[Job]:
    """Those with a run that is not over, and that no submission is going to run."""
    queued = {
        part.folder
        for each in slurm_lib.submissions(asked.folder)
        for index in each.states
        for part in each.jobs[index].parts
    }
    found: list[Job] = []
    for job in made:
        at = jobs.standing(asked.folder, job)
        if any(part.folder in queued for part in job.parts):
            say(f"{jobs.title(job)}: queued or running already")
        elif any(each.state not in OVER for each in at.values()):
            found.append(job)
    return found


def _slurm(asked: Asked, made: list[Job], parts: list[Part]) -> int:
    flags_given = {k: v for k, v in asked.settings.items() if k != "path"}
    path = asked.settings.get("path") or ""
    settings = cluster.read(path, "slurm", **flags_given)
    name = pathlib.PurePath(asked.config.partition(":")[0]).stem
    left = _left(asked, made)
    if not left:
        say(f"nothing to submit: python -m {__package__}.status {asked.folder}")
        return 0
    if asked.dry_run:
        place = asked.folder.absolute() / slurm_lib.FOLDER / "N"
        say(slurm_lib.script(place, len(left), settings, asked.parallel, name))
        return _print([slurm_lib.with_tasks(job, settings) for job in left])
    register.save(asked.folder, asked.config, asked.extra, parts)
    identity = slurm_lib.submit(asked.folder, left, settings, asked.parallel, name)
    say(
        f"submitted {text_table.count(len(left), 'runs')} as job {identity}, "
        f"{asked.parallel} at a time\n"
        f"python -m {__package__}.status {asked.folder}\n"
        f"python -m {__package__}.cancel {asked.folder}"
    )
    return 0


def _kubernetes(asked: Asked, made: list[Job], parts: list[Part]) -> int:
    path = asked.settings.get("path") or ""
    settings = cluster.read(path, "kubernetes")
    name = pathlib.PurePath(asked.config.partition(":")[0]).stem
    documents = kubernetes.manifest(asked.folder, made, settings, asked.parallel, name)
    say(kubernetes.rendered(documents).rstrip())
    return 0


_BACKENDS: dict[str, Callable[[Asked, list[Job], list[Part]], int]] = {
    "local": _local,
    "members": _local,
    "slurm": _slurm,
    "kubernetes": _kubernetes,
}


if __name__ == "__main__":
    command.run(
        main,
        hint="see --help; overrides for every run come last: -- --config.total=2epochs",
    )
