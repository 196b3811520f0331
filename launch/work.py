"""Runs one job of a sweep where a scheduler started it: python -m launch.work JOBS."""

from __future__ import annotations

import pathlib
import signal
import sys

from absl import flags

from cxr_jax.train.signals import listening
from tfds_builders.common import command
from tfds_builders.common.errors import InputError

from . import attempts, claim, jobs, local, progress, slurm
from . import slots as slots_lib
from .live_table import LiveTable
from .pool import Pool, signalled

_INDEX = flags.DEFINE_integer("index", 0, "Which of the jobs in the file.")
_BACKEND = flags.DEFINE_enum(
    "backend", "kubernetes", ["slurm", "kubernetes"], "What started this process."
)


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        raise InputError(
            "command line", "one file of jobs is needed", "see `launch.sweep --dry_run`"
        )
    path = pathlib.Path(argv[1])
    folder, found = jobs.read(path)
    if not 0 <= _INDEX.value < len(found):
        raise InputError(
            "--index", f"is {_INDEX.value}", f"{path} has jobs 0 to {len(found) - 1}"
        )
    return work(folder, found[_INDEX.value], path, _INDEX.value, _BACKEND.value)


def work(
    folder: pathlib.Path, job: jobs.Job, path: pathlib.Path, index: int, backend: str
) -> int:
    """Runs the job, unless its runs are over or another process has them.

    Returns:
      The exit code: 0 when over, or put into the queue again; 143 when stopped, on
      which Kubernetes starts it again; else that of the run.
    """
    held = claim.claimed(folder, sorted({part.digest for part in job.parts}))
    if held is None:
        print(f"{jobs.title(job)}: another process has it", flush=True)
        return 0
    at = jobs.standing(folder, job)
    left = [part for part in job.parts if at[part.name].state not in progress.OVER]
    if not left:
        print(f"{jobs.title(job)}: {', '.join(a.state for a in at.values())}")
        return 0
    print(f"{jobs.title(job)}: {jobs.line(job)}", flush=True)
    gpus = tuple(slots_lib.gpus())
    hand_on = slurm.signal_steps if job.command[0] == "srun" else signalled
    places = [slots_lib.Slot((), gpus, {})]
    pool = Pool(folder, places, scheduled=True, hand_on=hand_on)
    table, passed_on, ended = LiveTable(terminal=False), 0, []
    with listening(patient=True) as stop:
        pool.start(job._replace(parts=tuple(left)), held)
        while not ended:
            passed_on = local.pass_on(pool, stop, passed_on, table)
            ended = pool.ended(0.5)
        local.record(folder, ended[0], stop, backend)
    pool.close()
    return _end(folder, job, path, index, backend, ended[0].code)


def _end(folder, job, path, index, backend, code: int) -> int:
    at = jobs.standing(folder, job)
    states = {each.state for each in at.values()}
    if "failed" in states:
        for part in job.parts:
            print(f"{part.name}: {at[part.name].state} {at[part.name].reason}")
            print("\n".join(attempts.last_lines(folder / part.folder)), flush=True)
        return code if code > 0 else 128 - code
    if states <= set(progress.OVER):
        return 0
    if backend == "slurm" and slurm.come_back(path.parent, index):
        print("stopped; it is in the queue again", flush=True)
        return 0
    print("stopped; the same sweep resumes it", flush=True)
    return 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.argv[0] = "launch.work"
    command.run(main)
