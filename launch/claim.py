"""A run is started by one process at a time, whoever else works in the same folder.

A claim is a lock on a small file named after the digest of the config. The process that
runs has it too, so it lasts as long as either lives, and a kill leaves none behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from tfds_builders.common import files
from tfds_builders.common.lock import locked, take

_FOLDER = ".claims"


class _Busy(Exception):
    pass


def _busy() -> None:
    raise _Busy


def claimed(folder: pathlib.Path, digests: Sequence[str]) -> list[int] | None:
    """Descriptors of the locks, to be handed on and closed; None if one is taken."""
    held: list[int] = []
    with files.explained(folder / _FOLDER):
        (folder / _FOLDER).mkdir(parents=True, exist_ok=True)
        try:
            for each in digests:
                path = folder / _FOLDER / each
                held.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o644))
                take(held[-1], folder, _busy)
            return held
        except _Busy:
            release(held)
            return None
        except BaseException:
            release(held)
            raise


@contextlib.contextmanager
def alone(folder: pathlib.Path, what: str) -> Iterator[None]:
    """Waits until no other launcher of the folder does this."""
    with files.explained(folder / _FOLDER):
        (folder / _FOLDER).mkdir(parents=True, exist_ok=True)
        with locked(folder / _FOLDER / what, lambda: None):
            yield


def release(held: Sequence[int]) -> None:
    """Closes this process's own; a child keeps its own."""
    for descriptor in held:
        os.close(descriptor)


def note(held: Sequence[int], pid: int) -> None:
    """Writes who holds them: the launcher, and the process that runs."""
    who = {"host": socket.gethostname(), "launcher": os.getpid(), "pid": pid}
    for descriptor in held:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(who).encode(), 0)


def holder(folder: pathlib.Path, digest: str) -> dict[str, Any] | None:
    """{'host', 'launcher', 'pid'} of the process that holds a claim; None if nobody does.

    {} where it has only just been taken.
    """
    try:
        descriptor = os.open(folder / _FOLDER / digest, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        with contextlib.suppress(ValueError, OSError):
            return json.loads(os.pread(descriptor, 4096, 0) or b"{}")
        return {}
    except OSError:  # no locks on this file system
        return None
    finally:
        os.close(descriptor)
