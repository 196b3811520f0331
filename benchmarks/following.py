"""Times the lines of a command: when a step of its training was done."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence


def seconds(arguments: list[str], marks: Sequence[int], cache: str) -> list[float]:
    """Returns seconds from the start of the command to the end of these steps.

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
    )
    for line in process.stdout:
        step = re.match(r"step +(\d+)", line)
        if step:
            found.setdefault(int(step[1]), time.perf_counter() - start)
    if process.wait():
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}")
    return [found[step] for step in marks]
