"""Where the runs of a sweep are: a table that is drawn again, or a line for each change."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from cxr_jax.devices.terminal import duration, say
from cxr_jax.runs import text_table
from cxr_jax.stats.estimate import number

from .progress import Progress

_HEAD = ("run", "state", "step", "best on val", "left")
# Seconds between two tables, and between two lines of a run without a terminal.
_REDRAW, _REPEAT = 1.0, 60.0
_ONE = "the run is finished"
_ORDER = ("running", "failed", "damaged", "stopped", "queued", "waiting", "finished")


def row(name: str, at: Progress) -> tuple[str, ...]:
    """Cells of `_HEAD`."""
    step = "" if at.step is None else str(at.step)
    if step and at.total:
        step += f"/{at.total}"
    metric = f"{at.metric} {number(at.value)}" if at.value is not None else ""
    left = "" if at.seconds_left is None else duration(at.seconds_left)
    return name, at.state, step, metric, left


def lines(found: Mapping[str, Progress], rows: int = 10**6) -> list[str]:
    """The table, with the runs first that somebody may have to look at.

    rows: how many there is room for; of the others their number is given.
    """
    names = sorted(found, key=lambda name: _ORDER.index(found[name].state))
    shown = names if len(names) <= rows else names[: max(rows - 1, 1)]
    made = text_table.lines(_HEAD, [row(name, found[name]) for name in shown])
    if len(shown) < len(names):
        rest = Counter(found[name].state for name in names[len(shown) :])
        made.append("  and " + ", ".join(f"{n} {state}" for state, n in rest.items()))
    return made


def summary(found: Mapping[str, Progress]) -> str:
    """'3 running, 1 failed, 5 finished of 9 runs', or 'all 9 runs are finished'."""
    counts = Counter(each.state for each in found.values())
    if counts["finished"] == len(found):
        return f"all {len(found)} runs are finished" if len(found) > 1 else _ONE
    parts = [f"{counts[state]} {state}" for state in _ORDER if counts[state]]
    return f"{', '.join(parts)} of {text_table.count(len(found), 'runs')}"


def failures(found: Mapping[str, Progress], ends: Mapping[str, Sequence[str]]) -> str:
    """Each failed or damaged run with its reason, and the last lines that it said."""
    made = []
    for name, each in found.items():
        if each.state in ("failed", "damaged"):
            made.append(f"{name}: {each.state}, {each.reason}")
            made += [f"    {line}" for line in ends.get(name, ())]
    return "\n".join(made)


class LiveTable:
    """Shows where the runs are while they go on.

    Args:
      terminal: draw the table again in its place; else a line for each change, and
        one now and then for a run that goes on.
    """

    def __init__(self, terminal: bool | None = None):
        self._terminal = sys.stdout.isatty() if terminal is None else terminal
        self._drawn, self._height = -_REDRAW, 0
        self._said: dict[str, tuple[str, float]] = {}

    def is_due(self) -> bool:
        """It is time to look at the runs again."""
        return time.monotonic() - self._drawn >= _REDRAW

    def show(self, found: Mapping[str, Progress]) -> None:
        """Shows the present state of all runs."""
        self._drawn = time.monotonic()
        if self._terminal:
            self._draw(found)
            return
        for name, each in found.items():
            state, since = self._said.get(name, ("waiting", self._drawn))
            again = each.state == "running" and self._drawn - since >= _REPEAT
            if each.state == state and not again:
                self._said.setdefault(name, (state, since))
                continue
            self._said[name] = each.state, self._drawn
            _, state, *others = row(name, each)
            note = f" ({each.reason})" if each.reason else ""
            units = ("step ", "", "left ")
            cells = [u + c for u, c in zip(units, others, strict=True) if c]
            say("  ".join([f"{name}: {state}{note}", *cells]))

    def _draw(self, found: Mapping[str, Progress]) -> None:
        room = shutil.get_terminal_size((88, 24)).lines - 4
        drawn = [*lines(found, room), f"  {summary(found)}"]
        # Up over the former table, and clear from there to the end of the screen.
        up = f"\x1b[{self._height}A" if self._height else ""
        say(up + "\r\x1b[J" + "\n".join(drawn))
        self._height = len(drawn)

    def message(self, text: str) -> None:
        """A line that stays above the table."""
        if self._height:
            say(f"\x1b[{self._height}A\r\x1b[J{text}")
            self._height = 0
        else:
            say(text)
