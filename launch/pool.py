"""Processes that go on side by side, each in a slot of this machine.

They hold the reading end of a pipe whose writing end is this process's alone. When it
ends, however it ends, they read its end, save and stop (`cxr_jax.train.signals`): no
run goes on that nobody sees. Unlike PR_SET_PDEATHSIG this works on macOS too, and does
not depend on which thread started them.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cxr_jax.train.signals import LAUNCHER
from tfds_builders.common import files

from . import claim, slots
from .jobs import Job, line, prepare


class Child(NamedTuple):
    """A process of a job."""

    job: Job
    slot: slots.Slot
    pid: int
    began: float
    held: tuple[int, ...]


class Ended(NamedTuple):
    """A child that has ended: exit code (minus the signal), and what it took."""

    child: Child
    code: int
    seconds: float
    peak_mb: int


def signalled(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a child; SIGKILL goes to its own children too."""
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


class Pool:
    """Starts jobs while there is a slot, and hands over those that have ended.

    Args:
      folder: of the sweep.
      places: one for each process at a time.
      scheduled: a scheduler started this process: it keeps jobs to their cores, ends
        them with this one, and may start them on other machines, where no pipe leads.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        places: Sequence[slots.Slot],
        *,
        scheduled: bool = False,
        hand_on: Callable[[int, signal.Signals], None] = signalled,
    ):
        self._folder, self._free = folder, list(places)
        self._scheduled, self._hand_on = scheduled, hand_on
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._read, self._write = os.pipe()
        self.running: dict[int, Child] = {}

    @property
    def has_room(self) -> bool:
        """Another job can be started."""
        return bool(self._free)

    def start(self, job: Job, held: Sequence[int]) -> Child:
        """Starts a job that has been claimed; the claim goes with it."""
        slot = self._free.pop(0)
        path = self._folder / job.log
        pinned = contextlib.nullcontext() if self._scheduled else slots.pinned(slot)
        prepare(self._folder, job)
        environment = os.environ | slot.environment
        if not self._scheduled:
            environment[LAUNCHER] = str(self._read)
        with files.explained(path), path.open("ab") as log, pinned:
            log.write(f"$ {line(job)}\n".encode())
            log.flush()
            # In its own process group it gets a Ctrl-C only once, through us; a run
            # takes a second one to mean: stop without saving.
            process = subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                process_group=0,
                pass_fds=(self._read, *held),
            )
        child = Child(job, slot, process.pid, time.monotonic(), tuple(held))
        claim.note(held, process.pid)
        self.running[child.pid] = child
        threading.Thread(target=self._await, args=(process, child), daemon=True).start()
        return child

    def _await(self, process: subprocess.Popen, child: Child) -> None:
        _, status, usage = os.wait4(child.pid, 0)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        unit = 2**20 if os.uname().sysname == "Darwin" else 2**10
        seconds = time.monotonic() - child.began
        self._ended.put(Ended(child, code, seconds, round(usage.ru_maxrss / unit)))

    def ended(self, timeout: float) -> list[Ended]:
        """Those that have ended; waits for the first of them, so many seconds at most."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._ended.get(timeout=timeout))
            while True:
                found.append(self._ended.get_nowait())
        for each in found:
            del self.running[each.child.pid]
            self._free.append(each.child.slot)
            claim.release(each.child.held)
        return found

    def send(self, number: signal.Signals) -> None:
        """A signal to all that are running."""
        for pid in self.running:
            self._hand_on(pid, number)

    def close(self) -> None:
        """Whatever is still running is told to save and stop."""
        os.close(self._write)
        os.close(self._read)
