"""How far a batch is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from cxr_jax.devices.terminal import duration, say

_SECONDS = 30  # between lines


class Progress:
    """Counts films.

    Args:
      total: how many there are.
      done: how many were there before.
    """

    def __init__(self, total: int, done: int):
        self._total, self._first, self._done = total, done, done
        self._begun = self._said = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=done, unit=" films", mininterval=0.5)

    def add(self, count: int) -> None:
        """So many more films are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
            return
        now = time.monotonic()
        if now - self._said >= _SECONDS and self._done < self._total:
            self._said = now
            rate = (self._done - self._first) / (now - self._begun)
            left = duration((self._total - self._done) / rate)
            say(
                f"{self._done:,} of {self._total:,} films, {rate:.1f} a second, {left} left"
            )

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()
