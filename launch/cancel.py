"""Stops runs of a sweep, saved: python -m launch.cancel runs/loss [RUN ...]."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
from collections.abc import Sequence

from cxr_jax.devices.terminal import say
from tfds_builders.common import command
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded

from . import claim, register, slurm
from .jobs import Part

_COMMAND = f"python -m {__package__}.cancel"


def main(argv: list[str]) -> int:
    if len(argv) < 2:
        raise InputError("command line", "a folder is needed", f"{_COMMAND} runs/loss")
    return cancel(expanded(argv[1]), argv[2:])


def cancel(folder: pathlib.Path, names: Sequence[str] = ()) -> int:
    """Asks running ones to save and stop, and takes queued ones out of the queue.

    Args:
      folder: of the sweep.
      names: of runs; without any, all are stopped, and the launcher with them.

    Raises:
      InputError: no such run.
    """
    parts = register.read(folder)
    known = {part.name: part for part in parts}
    for name in names:
        if name not in known:
            raise InputError(name, f"is not a run of {folder}", f"{_COMMAND} {folder}")
    chosen = [known[name] for name in names] or parts
    stopped = _local(folder, chosen, whole=not names) + _queued(folder, chosen)
    for line in stopped:
        say(line)
    if not stopped:
        say("nothing is running or queued")
    return 0


def _local(folder: pathlib.Path, parts: Sequence[Part], *, whole: bool) -> list[str]:
    """Of this machine; of others it says where to go."""
    said, told = [], set()
    for part in parts:
        who = claim.holder(folder, part.digest)
        if not who:
            continue
        if who["host"] != socket.gethostname():
            said.append(f"{part.name}: runs on {who['host']}; cancel it there")
            continue
        # The launcher passes it on, and starts no other run; where it was killed, its
        # run is about to end by itself.
        pid = who["launcher"] if whole else who["pid"]
        try:
            with contextlib.suppress(ProcessLookupError):
                if pid not in told:
                    os.kill(pid, signal.SIGTERM)
            told.add(pid)
            said.append(f"{part.name}: saves and stops")
        except PermissionError:
            said.append(f"{part.name}: belongs to another user, who has to cancel it")
    return said


def _queued(folder: pathlib.Path, parts: Sequence[Part]) -> list[str]:
    """Of Slurm."""
    said = []
    wanted = {part.folder for part in parts}
    for each in slurm.submissions(folder):
        indices = [
            index
            for index in each.states
            if wanted & {part.folder for part in each.jobs[index].parts}
        ]
        if indices:
            slurm.cancel(each, indices)
            said.append(f"job {each.id}: cancelled {len(indices)} of {len(each.jobs)}")
    return said


if __name__ == "__main__":
    command.run(main, hint=f"see --help; for example: {_COMMAND} runs/loss")
