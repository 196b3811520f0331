"""Estimates as rows: a dot with its interval, and its name on the left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from cxr_jax.report.figures import style
from cxr_jax.stats.estimate import Estimate

HEIGHT = 0.19  # inches, a line of small type with its spacing


class Line(NamedTuple):
    """A row of a figure.

    Attributes:
      text: on the left.
      images: on the right; 0: not written.
      estimate: what is drawn; None: the text is a heading.
    """

    text: str
    images: int
    estimate: Estimate | None


def draw(axes: Axes, lines: Sequence[Line]) -> None:
    """Draws rows from the top: a dot with its interval, or a heading in bold."""
    axes.set_ylim(max(len(lines), 1) - 0.4, -0.6)
    axes.set_yticks(range(len(lines)), [line.text for line in lines])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for place, line in enumerate(lines):
        label, one = axes.get_yticklabels()[place], line.estimate
        if one is None:
            label.set_fontweight("bold")
            continue
        interval(axes, (one.lo, one.hi), (place, place), (one.value, place), one)
        if line.images:
            style.beside(axes, place, f"{line.images:,}")
        if not np.isfinite(one.value):
            label.set_alpha(style.SOFT)


def interval(axes: Axes, x, y, dot: tuple[float, float], one: Estimate) -> None:
    """Draws an interval and a dot, which is hollow where no interval is known.

    An undefined metric is named as such in a row and left out of a column.
    """
    if not np.isfinite(one.value):
        if y[0] == y[1]:
            axes.annotate(
                "not defined", (0.02, dot[1]), xycoords=("axes fraction", "data"),
                fontsize=style.SMALL, color=style.INK, alpha=style.SOFT, va="center",
            )  # fmt: skip
        return
    known = np.isfinite(one.lo)
    if known:
        axes.plot(x, y, color=style.BLUE, lw=1.3, solid_capstyle="butt")
    colour = style.BLUE if known else "none"
    axes.plot(*dot, "o", ms=4.5, mfc=colour, mec=style.BLUE, clip_on=False, zorder=4)


def band(span, line, whole: Estimate) -> None:
    """Draws the band; span, line: axvspan and axvline, or axhspan and axhline."""
    if np.isfinite(whole.lo):
        span(whole.lo, whole.hi, color=style.ORANGE, alpha=0.2, lw=0)
    if np.isfinite(whole.value):
        line(whole.value, color=style.ORANGE, lw=1.1)


def limit(axes: Axes, estimates: Sequence[Estimate]) -> None:
    axes.set_xlim(*ends(estimates))
    axes.locator_params(axis="x", nbins=5)


def ends(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """The range of all values and intervals, with a margin; 0 to 1 if none is known."""
    values = [x for one in estimates for x in one[:3] if np.isfinite(x)]
    if not values:
        return 0.0, 1.0
    room = 0.05 * (max(values) - min(values)) or 0.05
    return min(values) - room, max(values) + room
