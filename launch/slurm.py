"""Slurm: the runs of a sweep as one array job, each of which saves and comes back.

Submitted by sbatch itself and not through submitit 1.5.4 (MIT), which pickles a Python
function and ignores SIGTERM, the signal on which a run saves: here a job is the command
of the run, and what Slurm sends to it arrives.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from tfds_builders.common import files
from tfds_builders.common.errors import InputError

from . import jobs as jobs_lib
from .cluster import Slurm
from .jobs import Job

FOLDER = "slurm"
CANCELLED = "cancelled"
_JOBS, _ID, _SCRIPT = "jobs.json", "id.txt", "script.sh"
_LIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED")


class Submission(NamedTuple):
    """An array job: its id, the jobs by index, and {index: state} of those that live."""

    path: pathlib.Path
    id: str
    jobs: list[Job]
    states: dict[int, str]


def script(
    submission: pathlib.Path, count: int, settings: Slurm, parallel: int, name: str
) -> str:
    """The array job of a submission.

    Args:
      submission: its folder, absolute.
      count: of jobs.
      parallel: as many of them at once.
      name: that squeue shows.
    """
    options = [
        f"--job-name={name}",
        f"--array=0-{count - 1}%{parallel}",
        f"--output={submission}/%a.txt",
        "--open-mode=append",
        "--requeue",
        # To the batch script alone, which passes it on to the run.
        f"--signal=B:TERM@{settings.grace}",
        f"--ntasks={settings.tasks}",
        f"--cpus-per-task={settings.cpus_per_task}",
        *(f"--{k}={getattr(settings, k)}" for k in _PLAIN if getattr(settings, k)),
        *([f"--nodes={settings.nodes}"] if settings.nodes else []),
        *settings.options,
    ]
    exports = [f"{k}={shlex.quote(v)}" for k, v in settings.environment.items()]
    work = [sys.executable, "-m", f"{__package__}.work", str(submission / _JOBS)]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {shlex.quote(each)}" for each in options),
            *(f"module load {shlex.quote(each)}" for each in settings.modules),
            *settings.setup,
            *(f"export {each}" for each in exports),
            f'exec {shlex.join(work)} --index="$SLURM_ARRAY_TASK_ID" --backend=slurm',
            "",
        ]
    )


_PLAIN = ("partition", "time", "gres", "account", "mem")


def submit(
    folder: pathlib.Path,
    jobs: Sequence[Job],
    settings: Slurm,
    parallel: int,
    name: str,
) -> str:
    """Submits the jobs as one array; -> its id.

    Raises:
      InputError: there is no sbatch, or it refuses.
    """
    _require("sbatch")
    root = folder.absolute() / FOLDER
    number = 1 + max((int(p.name) for p in root.glob("[0-9]*")), default=0)
    submission = root / str(number)
    with files.explained(submission):
        submission.mkdir(parents=True)  # two at once: the second is told so
    jobs = [with_tasks(job, settings) for job in jobs]
    files.write_text(submission / _JOBS, jobs_lib.text(folder.absolute(), jobs))
    path = submission / _SCRIPT
    files.write_text(path, script(submission, len(jobs), settings, parallel, name))
    # Held until its id is on the disk: a kill in between leaves a job that never starts.
    done = _call(["sbatch", "--parsable", "--hold", str(path)])
    identity = done.strip().split(";")[0]
    files.write_text(submission / _ID, identity + "\n")
    _call(["scontrol", "release", identity])
    return identity


def with_tasks(job: Job, settings: Slurm) -> Job:
    """Several processes train one model: srun starts them within the job."""
    if settings.tasks == 1:
        return job
    command = ("srun", "--kill-on-bad-exit=1", *job.command, "--distributed")
    return job._replace(command=command)


def submissions(folder: pathlib.Path) -> list[Submission]:
    """Those of a sweep, in order; {} for states where Slurm does not know the job."""
    found = []
    paths = (folder / FOLDER).glob("[0-9]*")
    for path in sorted(paths, key=lambda path: int(path.name)):
        if not (path / _ID).exists():
            continue
        identity = (path / _ID).read_text().strip()
        _, jobs = jobs_lib.read(path / _JOBS)
        found.append(Submission(path, identity, jobs, _states(identity)))
    return found


def _states(identity: str) -> dict[int, str]:
    """{index: 'RUNNING' or 'PENDING (Resources)'} of what is queued or running."""
    if shutil.which("squeue") is None:
        return {}
    done = subprocess.run(
        ["squeue", "--noheader", "--array", f"--jobs={identity}", "--format=%K|%T|%r"],
        capture_output=True,
        text=True,
        check=False,
    )
    # A job that has been over for some minutes is an error to squeue.
    if done.returncode and "Invalid job id" not in done.stderr:
        raise InputError("squeue", done.stderr.strip(), "see whether Slurm is running")
    found = {}
    for line in done.stdout.splitlines():
        index, state, why = line.split("|", 2)
        if state in _LIVE and index.isdecimal():
            found[int(index)] = f"{state} ({why})" if state == "PENDING" else state
    return found


def cancel(submission: Submission, indices: Sequence[int]) -> None:
    """Cancels some of its jobs; a running one saves, and none comes back."""
    for index in indices:
        files.write_text(submission.path / f"{CANCELLED}-{index}", "")
    names = [f"{submission.id}_{index}" for index in indices]
    _call(["scancel", *names])


def come_back(submission: pathlib.Path, index: int) -> bool:
    """Puts the job that this process is part of into the queue again; -> was it?

    Not one that somebody cancelled.
    """
    if (submission / f"{CANCELLED}-{index}").exists():
        return False
    array, job = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_JOB_ID")
    name = f"{array}_{index}" if array else job
    if not name:
        return False
    done = subprocess.run(
        ["scontrol", "requeue", name], capture_output=True, text=True, check=False
    )
    # Where Slurm itself preempted the job it has done so already.
    return done.returncode == 0


def signal_steps(pid: int, number: signal.Signals) -> None:
    """Sends a signal to the processes that srun started in this job.

    Not by way of srun, the process `pid`: on SIGTERM it kills them at once.
    """
    del pid
    name = os.environ["SLURM_JOB_ID"]
    subprocess.run(["scancel", "--quiet", f"--signal={number.name}", name], check=False)


def _call(command: Sequence[str]) -> str:
    _require(command[0])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        found = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise InputError(
            shlex.join(command),
            found,
            "correct the settings of --cluster, or the flags",
        )
    return done.stdout


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise InputError(
            f"--backend={FOLDER}",
            f"there is no {program} on this machine",
            "run it where jobs are submitted from, or choose --backend=local",
        )
