"""How often an address may do something: a bucket of tokens for each."""

from __future__ import annotations

import threading
from collections.abc import Callable

_MOST = 10_000  # addresses that are remembered


class Rates:
    """So many a minute for each key, all of which may come at once.

    per_minute: 0 for no limit. clock: in seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]):
        self._most, self._clock = per_minute, clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when

    def wait(self, key: str) -> float:
        """Takes a token, and returns 0; or else the seconds until there is one."""
        if not self._most:
            return 0.0
        per_second = self._most / 60
        now = self._clock()
        with self._lock:
            tokens, then = self._buckets.get(key, (float(self._most), now))
            tokens = min(self._most, tokens + (now - then) * per_second)
            if tokens < 1:
                return (1 - tokens) / per_second
            if len(self._buckets) >= _MOST and key not in self._buckets:
                self._forget(now, per_second)
            self._buckets[key] = (tokens - 1, now)
        return 0.0

    def _forget(self, now: float, per_second: float) -> None:
        """Leaves out who has a full bucket again; if none has, whoever came first."""
        waiting = {
            key: (tokens, then)
            for key, (tokens, then) in self._buckets.items()
            if tokens + (now - then) * per_second < self._most
        }
        while len(waiting) >= _MOST:
            del waiting[next(iter(waiting))]
        self._buckets = waiting
