"""A polite end: finish what is being done, save, leave."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class StopRequest:
    """Remembers the signals that asked to stop.

    Nothing is printed or raised within the handler: a save may be going on.

    Attributes:
      received: in their order.
    """

    def __init__(self):
        self.received: list[signal.Signals] = []

    @property
    def signal(self) -> signal.Signals | None:
        """The first that came, or None."""
        return self.received[0] if self.received else None

    @property
    def name(self) -> str:
        """'SIGTERM', or what to say where another process got it."""
        return self.signal.name if self.signal else "another process was stopped"

    @property
    def exit_code(self) -> int:
        """0 for a scheduler's SIGTERM, 130 for Ctrl-C, as shells expect."""
        return 130 if self.signal == signal.SIGINT else 0


@contextmanager
def listening(*, patient: bool = False) -> Iterator[StopRequest]:
    """Takes signals as requests to stop; afterwards they do again what they did before.

    Args:
      patient: also takes SIGHUP, unless it is ignored (nohup), and every further
        Ctrl-C. Without it a second Ctrl-C ends the process; a second SIGTERM never
        does, because schedulers send it to a sweep and to its run alike.
    """
    request = StopRequest()

    def note(number, frame):
        request.received.append(signal.Signals(number))
        if not patient:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if patient and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    former = {number: signal.signal(number, note) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
