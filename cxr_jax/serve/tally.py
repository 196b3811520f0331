"""What a node has done since it began, as Prometheus reads it."""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterable

_PREFIX = "cxr_jax_node"


class Tally:
    """Counts by name and one label, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()

    def add(self, name: str, label: str = "", number: int = 1) -> None:
        """Adds to a count. label: of a fixed few, never a name or an address."""
        with self._lock:
            self._counts[name, label] += number

    def counts(self) -> dict[tuple[str, str], int]:
        """{(name, label): number}."""
        with self._lock:
            return dict(self._counts)


def text(
    counts: dict[tuple[str, str], int], gauges: Iterable[tuple[str, str, float]]
) -> str:
    """The text format of Prometheus, version 0.0.4.

    Args:
      counts: of `Tally.counts`.
      gauges: (name, label, value).
    """
    rows = [(name, "counter", label, n) for (name, label), n in counts.items()]
    rows += [(name, "gauge", label, value) for name, label, value in gauges]
    lines: list[str] = []
    last = ""
    for name, kind, label, value in sorted(rows):
        full = f"{_PREFIX}_{name}" + "_total" * (kind == "counter")
        if full != last:
            lines.append(f"# TYPE {full} {kind}")
            last = full
        labels = f'{{kind="{label}"}}' if label else ""
        lines.append(f"{full}{labels} {value:.10g}")
    return "".join(f"{line}\n" for line in lines)
