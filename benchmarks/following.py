"""Times the lines of a command: when a step of its training was done."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple


class Moment(NamedTuple):
    """Since the start of a command: seconds, and processor seconds of all it started."""

    wall: float
    cpu: float


def seconds(arguments: list[str], marks: Sequence[int], cache: str) -> list[float]:
    """The same as `moments`, without processor seconds."""
    return [moment.wall for moment in moments(arguments, marks, cache)]


def moments(arguments: list[str], marks: Sequence[int], cache: str) -> list[Moment]:
    """When steps of a command ended. Processor seconds are NaN elsewhere than on Linux.

    Args:
      arguments: of the command, which prints `step N` when step N is done.
      marks: numbers of steps.
      cache: folder of compiled programs.
    """
    start, found = time.perf_counter(), {}
    process = subprocess.Popen(
        arguments,
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        for line in process.stdout:
            step = re.match(r"step +(\d+)", line)
            if step and int(step[1]) not in found and int(step[1]) in marks:
                wall = time.perf_counter() - start
                found[int(step[1])] = Moment(wall, _cpu_seconds(process.pid))
        if process.wait():
            raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}")
    except KeyboardInterrupt:  # which reaches our own group alone
        os.killpg(process.pid, signal.SIGINT)
        raise
    return [found[step] for step in marks]


def _cpu_seconds(group: int) -> float:
    """Of all processes of a group; those that ended count in the ones that waited."""
    ticks, known = 0, False
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()  # proc(5), from state
        except OSError:
            continue  # it ended meanwhile
        if int(fields[2]) == group:
            ticks, known = ticks + sum(map(int, fields[11:15])), True
    return ticks / os.sysconf("SC_CLK_TCK") if known else float("nan")
