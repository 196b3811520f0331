"""How often a run was started, how each attempt ended, and what it cost.

`attempts.jsonl` in the workdir of the run has a line for each that whoever started it
saw the end of; it is no part of the result.
"""

from __future__ import annotations

import json
import pathlib
import signal
import socket
from typing import NamedTuple

from tfds_builders.common import files

_NAME = "attempts.jsonl"
LOG = "log.txt"
# What a reader of a log wants first.
_SHOWN = 5
_CRASHES = (
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
)


class Attempt(NamedTuple):
    """One start of a run that has ended.

    Attributes:
      code: exit code, or minus the signal that ended it.
      seconds: from start to end; of members divided by their number.
      devices: GPUs it had; 0 on a CPU.
      peak_mb: most memory on the host that the process took; of all members together.
      backend: 'local', 'slurm' or 'kubernetes'.
      host: the machine's name.
      log: the file with its output, relative to the workdir.
      asked: the launcher was asked to stop, and passed that on.
    """

    code: int
    seconds: float
    devices: int = 0
    peak_mb: int = 0
    backend: str = "local"
    host: str = socket.gethostname()
    log: str = LOG
    asked: bool = False


def add(workdir: pathlib.Path, attempt: Attempt) -> None:
    """Appends a line."""
    path = workdir / _NAME
    with files.explained(path):
        workdir.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(attempt._asdict()) + "\n")


def read(workdir: pathlib.Path) -> list[Attempt]:
    """In their order; a line that a kill cut short is left out."""
    try:
        text = (workdir / _NAME).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            found.append(Attempt(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found


def is_stop(attempt: Attempt) -> bool:
    """It ended because it was told to, and can be resumed; it did not fail.

    A run saves on SIGTERM and exits with 0: nobody asks this of one that is finished.
    """
    code = attempt.code
    asked = code in (0, 128 + signal.SIGINT, 128 + signal.SIGTERM)
    return asked or -code in (signal.SIGTERM, signal.SIGINT) or attempt.asked


def reason(code: int) -> str:
    """'exit code 1', 'killed by SIGKILL (often: out of memory)'."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # those of real time have numbers only
        name = f"signal {-code}"
    if -code in _CRASHES:
        return f"crashed with {name}"
    often = " (often: out of memory)" if -code == signal.SIGKILL else ""
    return f"killed by {name}{often}"


def last_lines(workdir: pathlib.Path, log: str = LOG) -> list[str]:
    """The end of the output of a run, without empty lines."""
    try:
        with (workdir / log).open("rb") as file:
            file.seek(max((workdir / log).stat().st_size - 4096, 0))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith("$ ")][-_SHOWN:]
