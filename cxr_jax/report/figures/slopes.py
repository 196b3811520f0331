"""What was claimed, reproduced and honest, as slopes: one line a system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr_jax.report.figures import style
from cxr_jax.stats.estimate import Estimate, number

_WIDTH = 8.6  # inches: a page, or half a slide
_ROW = 0.46  # inches a line and its interval
_APART = 0.19  # inches from label to label: a line of type and a little more
_LEGEND = "whiskers: 95 % intervals; orange and hollow: mostly a shortcut"
_SHIFT = 0.045  # sideways, between the intervals of two lines


class Slope(NamedTuple):
    """A line of the picture.

    Attributes:
      name: of the system.
      points: one a column, None where there is none.
      is_hollow: what it shows is mostly a shortcut.
    """

    name: str
    points: tuple[Estimate | None, ...]
    is_hollow: bool = False


class Panel(NamedTuple):
    """Lines of one metric.

    Attributes:
      metric: its label, with what is better.
      slopes: the lines.
      is_lower_better: the axis is turned, so that up is better.
    """

    metric: str
    slopes: tuple[Slope, ...]
    is_lower_better: bool = False


def slopes(panels: Sequence[Panel], columns: Sequence[str]) -> Figure:
    """Panels below each other, as high as they have lines.

    Names and first values stand on the left, last values on the right, pushed apart
    where they would overlap. Whiskers are 95 % intervals; orange and hollow is what is
    mostly a shortcut.
    """
    heights = [0.7 + _height(panel) for panel in panels]
    figure, axes = style.grid(
        len(panels), 1, _WIDTH, sum(heights) + 0.6, height_ratios=heights
    )
    for place, (own, panel) in enumerate(zip(axes, panels, strict=True)):
        _draw(own, panel, columns)
        own.set_xticks(
            range(len(columns)), columns if place == 0 else [""] * len(columns)
        )
    axes[0].xaxis.tick_top()
    for label in axes[0].get_xticklabels():
        label.set_fontweight("bold")
        label.set_fontsize(style.SIZE)
    axes[-1].set_xlabel(
        _LEGEND, fontsize=style.SMALL, color=style.INK, alpha=style.SOFT
    )
    return figure


def _height(panel: Panel) -> float:
    """Inches that its lines have."""
    return _ROW * max(len(panel.slopes), 2)


def _draw(axes: Axes, panel: Panel, columns: Sequence[str]) -> None:
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_yticks([])
    axes.set_xlim(-1.45, len(columns) - 1 + 0.75)
    known = [p for each in panel.slopes for p in each.points if p is not None]
    ends = [x for p in known for x in p[:3] if np.isfinite(x)]
    low, high = min(ends), max(ends)
    room = 0.16 * ((high - low) or 1.0)
    limits = low - room, high + room
    axes.set_ylim(*(limits[::-1] if panel.is_lower_better else limits))
    for column in range(len(columns)):
        axes.axvline(
            column, color=style.INK, lw=style.THIN, alpha=style.FAINT, zorder=0
        )
    centre = (len(panel.slopes) - 1) / 2
    for place, each in enumerate(panel.slopes):
        _line(axes, each, (place - centre) * _SHIFT)
    span = abs(limits[1] - limits[0])
    _labels(axes, panel, span, columns, first=True)
    _labels(axes, panel, span, columns, first=False)
    style.words_over_all(axes, panel.metric)


def _line(axes: Axes, slope: Slope, shift: float) -> None:
    points = [(x, p) for x, p in enumerate(slope.points) if p is not None]
    colour = style.ORANGE if slope.is_hollow else style.BLUE
    axes.plot(
        [x + shift for x, _ in points], [p.value for _, p in points],
        color=colour, lw=style.THICK, alpha=style.SOFT,
    )  # fmt: skip
    for x, p in points:
        if p.has_interval:
            axes.plot([x + shift] * 2, [p.lo, p.hi], color=colour, lw=1.0, alpha=0.6)
        axes.plot(
            x + shift, p.value, "o", ms=5.5, mfc="white" if slope.is_hollow else colour,
            mec=colour, zorder=4,
        )  # fmt: skip


def _labels(axes: Axes, panel: Panel, span: float, columns, *, first: bool) -> None:
    """Names before the first column, with its values; last values behind the last."""
    ends = []
    for each in panel.slopes:
        points = [(x, p) for x, p in enumerate(each.points) if p is not None]
        x, p = points[0] if first else points[-1]
        text = _value(p) if x == len(columns) - 1 else f"{columns[x]} {_value(p)}"
        if first:
            text = f"{each.name}  {number(p.value, 2)}" if x == 0 else each.name
        ends.append((p.value, x, text))
    order = sorted(range(len(ends)), key=lambda k: ends[k][0])
    heights = spread([ends[k][0] for k in order], _APART * span / _height(panel))
    for height, k in zip(heights, order, strict=True):
        value, x, text = ends[k]
        side = -1 if first else 1
        at = -0.14 if first else len(columns) - 1 + 0.14
        axes.annotate(
            text, (x + 0.06 * side, value), (at, height), textcoords="data",
            fontsize=style.SMALL, color=style.INK, va="center",
            ha="right" if first else "left", annotation_clip=False, zorder=5,
            bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.8},
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": style.INK, "alpha": 0.4},
        )  # fmt: skip


def _value(p: Estimate) -> str:
    return style.shown(p) + (f", n = {p.n:,}" if p.n else "")


def spread(values: Sequence[float], apart: float) -> list[float]:
    """Ascending values moved as little as it takes to be `apart` from each other."""
    blocks: list[tuple[float, int]] = []  # (middle, how many)
    members: list[list[float]] = []
    for value in values:
        blocks.append((value, 1))
        members.append([value])
        while len(blocks) > 1:
            (one, n), (two, m) = blocks[-2:]
            if two - one >= apart * (n + m) / 2:
                break
            both = members[-2] + members[-1]
            blocks[-2:] = [(sum(both) / len(both), len(both))]
            members[-2:] = [both]
    return [
        middle + (k - (n - 1) / 2) * apart for middle, n in blocks for k in range(n)
    ]
