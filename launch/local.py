"""Runs jobs on this machine, several at a time, until all are over."""

from __future__ import annotations

import pathlib
import signal
import time
from collections.abc import Sequence
from typing import NamedTuple

from cxr_jax.train.signals import StopRequest, listening

from . import attempts, claim, progress
from .jobs import Job, standing, title
from .live_table import LiveTable
from .pool import Ended, Pool
from .progress import Progress
from .slots import Slot

# Seconds between two looks at a run that another process has.
_AGAIN = 1.0


class Outcome(NamedTuple):
    """How a sweep ended: where each run is, and the signal that asked to stop."""

    found: dict[str, Progress]
    stopped_by: signal.Signals | None


class _Waiting(NamedTuple):
    """A job that is to be started; not before a time, where another process has it."""

    job: Job
    attempts: tuple[int, ...]
    after: float = 0.0


def run(
    folder: pathlib.Path,
    jobs: Sequence[Job],
    places: Sequence[Slot],
    table: LiveTable | None = None,
) -> Outcome:
    """Starts every job whose runs are not over, and follows them all to their end.

    Args:
      folder: of the sweep.
      jobs: in the order in which they are started.
      places: of `slots.share`: as many as go on at once.
      table: shows them; by default on the terminal.

    SIGTERM, SIGHUP and Ctrl-C are passed on, and nothing more is started: the runs
    save. A second Ctrl-C kills them, and loses what was done since the last checkpoint.
    """
    table = table or LiveTable()
    found = {name: at for job in jobs for name, at in standing(folder, job).items()}
    waiting = [
        _Waiting(job, _tried(folder, job))
        for job in jobs
        if any(found[part.name].state not in progress.OVER for part in job.parts)
    ]
    for each in waiting:
        for part in each.job.parts:
            if found[part.name].state == "failed":  # it is tried again
                found[part.name] = Progress("waiting")
    pool = Pool(folder, places)
    try:
        with listening(patient=True) as stop:
            _loop(folder, pool, waiting, stop, found, table)
        table.show(found)
        return Outcome(found, stop.signal)
    finally:
        pool.close()


def _loop(folder, pool: Pool, waiting: list[_Waiting], stop, found, table) -> None:
    passed_on, noticed = 0, set()
    while waiting or pool.running:
        if not stop.signal:
            _start(folder, pool, waiting, found, table, noticed)
        elif not pool.running:
            return
        passed_on = pass_on(pool, stop, passed_on, table)
        if table.is_due():
            _look(folder, pool, found)
            table.show(found)
        for ended in pool.ended(0.2 if pool.running else _AGAIN / 4):
            record(folder, ended, stop)
            found.update(standing(folder, ended.child.job))


def _start(folder, pool, waiting, found, table, noticed) -> None:
    """Starts what there is room for, and leaves what another process has."""
    for each in list(waiting):
        if not pool.has_room:
            return
        if each.after > time.monotonic():
            continue
        waiting.remove(each)
        job = each.job
        held = claim.claimed(folder, sorted({part.digest for part in job.parts}))
        if held is None:
            if title(job) not in noticed:
                noticed.add(title(job))
                table.message(f"{title(job)}: another process has it; waiting for that")
            waiting.append(each._replace(after=time.monotonic() + _AGAIN))
            continue
        # While this one waited, the other may have finished it, or failed.
        at = standing(folder, job)
        found.update(at)
        left = [part for part in job.parts if at[part.name].state not in progress.OVER]
        if not left or _failed_elsewhere(folder, each, at):
            claim.release(held)
            continue
        pool.start(job._replace(parts=tuple(left)), held)
        found.update({part.name: Progress("running") for part in left})


def _tried(folder: pathlib.Path, job: Job) -> tuple[int, ...]:
    return tuple(len(attempts.read(folder / part.folder)) for part in job.parts)


def _failed_elsewhere(folder, each: _Waiting, at: dict[str, Progress]) -> bool:
    is_new = _tried(folder, each.job) != each.attempts
    return is_new and any(a.state == "failed" for a in at.values())


def pass_on(pool: Pool, stop: StopRequest, passed_on: int, table: LiveTable) -> int:
    """Signals received since the last call go to all that run; -> how many there were."""
    received = list(stop.received)
    for number in received[passed_on:]:
        if number == signal.SIGINT and received.count(signal.SIGINT) > 1:
            table.message("second Ctrl-C: killing the runs")
            pool.send(signal.SIGKILL)
        elif passed_on == 0:
            if pool.running:
                table.message(f"{number.name}: the runs save and stop")
            # A run saves on SIGTERM; closing the terminal should not lose its work.
            asked = signal.SIGTERM if number == signal.SIGHUP else number
            pool.send(asked)
        passed_on += 1
    return passed_on


def record(
    folder: pathlib.Path, ended: Ended, stop: StopRequest, backend: str = "local"
) -> None:
    """Notes in the workdir of each run how the attempt ended."""
    parts = ended.child.job.parts
    for part in parts:
        workdir = folder / part.folder
        depth = len(pathlib.PurePath(part.folder).parts)
        log = pathlib.PurePath(*[".."] * depth, ended.child.job.log)
        own = ended.child.job.log == f"{part.folder}/{attempts.LOG}"
        attempts.add(
            workdir,
            attempts.Attempt(
                code=ended.code,
                seconds=round(ended.seconds / len(parts), 3),
                devices=len(ended.child.slot.gpus),
                peak_mb=ended.peak_mb,
                backend=backend,
                log=attempts.LOG if own else str(log),
                asked=stop.signal is not None,
            ),
        )


def _look(folder: pathlib.Path, pool: Pool, found: dict[str, Progress]) -> None:
    """Reads how far those are that are running."""
    for child in pool.running.values():
        for part in child.job.parts:
            found[part.name] = progress.measured(folder / part.folder)
