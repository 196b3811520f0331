"""Lines on the terminal, printed by the first process only."""

from __future__ import annotations

import contextlib
import math
import os
import sys

from cxr_jax.devices import processes


def say(text: str) -> None:
    """Prints a line; a closed pipe is not an error."""
    if not processes.is_first():
        return
    try:
        print(text, flush=True)
    except BrokenPipeError:  # Ctrl-C in a shell ends `| tee` before it ends us
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def warn(text: str) -> None:
    """A line beside the results: on stderr."""
    if processes.is_first():
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """75 -> '1:15'."""
    if not math.isfinite(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
