"""A polite end: finish the step, save, leave."""

from __future__ import annotations

import signal

from cxr_jax.writer import say


class StopRequest:
    """Remembers the first SIGTERM or SIGINT; a second Ctrl-C ends the process.

    A second SIGTERM does not: schedulers send it to a sweep and to its run alike.

    Attributes:
      signal: the one that came, or None.
    """

    def __init__(self):
        self.signal: signal.Signals | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number, frame):
        del frame
        if self.signal is not None:
            return
        self.signal = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        say(f"{self.signal.name}: stopping as soon as the step is saved")

    @property
    def exit_code(self) -> int:
        """0 for a scheduler's SIGTERM, 130 for Ctrl-C, as shells expect."""
        return 130 if self.signal == signal.SIGINT else 0
