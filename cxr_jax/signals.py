"""A polite end: finish the step, save, leave."""

from __future__ import annotations

import signal

from cxr_jax.writer import say


class StopRequest:
    """Remembers the first SIGTERM or SIGINT; a second one ends the process.

    Attributes:
      signal: the one that came, or None.
    """

    def __init__(self):
        self.signal: signal.Signals | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number, frame):
        del frame
        self.signal = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)
        say(f"{self.signal.name}: saving after this step")

    @property
    def exit_code(self) -> int:
        """0 for a scheduler's SIGTERM, 130 for Ctrl-C, as shells expect."""
        return 130 if self.signal == signal.SIGINT else 0
