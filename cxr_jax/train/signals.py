"""A polite end: finish the step, save, leave."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class StopRequest:
    """Remembers the first SIGTERM or SIGINT; a second Ctrl-C ends the process.

    A second SIGTERM does not: schedulers send it to a sweep and to its run alike.
    Nothing is printed or raised within the handler: a save may be going on.

    Attributes:
      signal: the one that came, or None.
    """

    def __init__(self):
        self.signal: signal.Signals | None = None

    def note(self, number, frame):
        """The handler."""
        del frame
        if self.signal is None:
            self.signal = signal.Signals(number)
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    @property
    def name(self) -> str:
        """'SIGTERM', or what to say where another process got it."""
        return self.signal.name if self.signal else "another process was stopped"

    @property
    def exit_code(self) -> int:
        """0 for a scheduler's SIGTERM, 130 for Ctrl-C, as shells expect."""
        return 130 if self.signal == signal.SIGINT else 0


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Takes SIGTERM and SIGINT as requests to stop, and gives them back afterwards."""
    request = StopRequest()
    former = {
        number: signal.signal(number, request.note)
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
