"""The end of a command: at once, when everything that waits for the end has run.

Imports nothing that takes time: the command line imports it before all else.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quickly() -> Iterator[None]:
    """Spares a command that ends with a number the taking apart of its modules.

    It takes Python a third of a second for JAX. Threads are joined, and what libraries
    have to do at the end they have done by then, all but those imported before this.
    """
    status: list[int] = []
    # The first that is registered is the last that runs.
    atexit.register(_leave, status)
    try:
        yield
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            status.append(end.code or 0)
        raise


def _leave(status: list[int]) -> None:
    if status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status[0])
