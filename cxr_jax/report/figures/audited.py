"""Figures of a model audit: by group, and on altered or partly hidden images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr_jax.report.figures import style
from cxr_jax.stats.estimate import Estimate

_ROW = 0.19  # inches, a line of small type with its spacing
_LONGEST = 24  # characters of a group's name; URLs are longer


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


def forest(
    rows: Sequence[tuple[str, str, int, Estimate]], whole: Estimate, name: str
) -> Figure:
    """A metric by group, with intervals, and that of all images as a band.

    rows: (attribute, group, images, estimate), drawn in order under the name of the
    attribute. name: of the metric.
    """
    lines: list[Line] = []
    for attribute, group in groupby(rows, key=lambda row: row[0]):
        lines.append(Line(attribute.replace("_", " "), 0, None))
        lines += [
            Line(style.shortened(str(label), _LONGEST), images, estimate)
            for _, label, images, estimate in group
        ]
    figure, axes = style.new(height=0.85 + _ROW * max(len(lines), 1))
    _rows(axes, lines)
    _band(axes.axvspan, axes.axvline, whole)
    style.words_over_all(axes, f"line and band: all images, {whole.text()}")
    if lines:
        style.beside(axes, 0, "images")
    else:
        style.note(axes, "no group is large enough")
    _limit(axes, [whole, *(line.estimate for line in lines if line.estimate)])
    axes.set_xlabel(name, fontsize=style.SIZE, color=style.INK)
    return figure


def strengths(
    altered: Mapping[str, Mapping[str, Any]], whole: Mapping[str, Any], name: str
) -> Figure:
    """A metric against the strength of each alteration; the band is the unaltered one.

    altered, whole: from model_audit.json. Strengths are spaced evenly, from weak to
    strong, because their units differ. name: of the metric.
    """
    figure, panels = style.panels(len(altered), height=1.65)
    unaltered = Estimate.from_json(whole)
    everything = [unaltered]
    for axes, (what, found) in zip(panels, altered.items(), strict=True):
        estimates = [Estimate.from_json(one) for one in found["figure"]]
        everything += estimates
        style.head(axes, what, found["unit"])
        _band(axes.axhspan, axes.axhline, unaltered)
        places = range(len(estimates))
        values = [one.value for one in estimates]
        axes.plot(places, values, color=style.BLUE, lw=1.1, alpha=0.6)
        for place, one in zip(places, estimates, strict=True):
            _interval(axes, (place, place), (one.lo, one.hi), (place, one.value), one)
        labels = [f"{strength:g}" for strength in found["strengths"]]
        axes.set_xticks(places, labels)
        axes.set_xlim(-0.4, len(estimates) - 0.6)
    low, high = _ends(everything)
    for axes in panels:
        axes.set_ylim(low, high)
        axes.locator_params(axis="y", nbins=4)
    figure.supylabel(name, fontsize=style.SIZE, color=style.INK)
    for axes in panels[1::2]:
        axes.tick_params(labelleft=False)
    return figure


def hidden(
    content: Mapping[str, Mapping[str, Any]],
    whole: Mapping[str, Any],
    chance: float,
    name: str,
) -> Figure:
    """A metric with parts of the image hidden, between chance and the whole image.

    content, whole: from model_audit.json. What remains without lungs is a shortcut.
    name: of the metric.
    """
    unhidden = Estimate.from_json(whole)
    lines = [Line("whole image", 0, unhidden)]
    lines += [
        Line(what, 0, Estimate.from_json(found["figure"]))
        for what, found in content.items()
    ]
    figure, axes = style.new(height=0.95 + 1.25 * _ROW * len(lines))
    _rows(axes, lines)
    _band(axes.axvspan, axes.axvline, unhidden)
    axes.axvline(chance, color=style.INK, lw=style.THIN, ls=(0, (4, 3)))
    known = [line.estimate for line in lines]
    _limit(axes, [*known, Estimate(chance, chance, chance, 0)])
    style.words_over_all(axes, f"dashed: chance, {chance:.3g}; band: the whole image")
    axes.set_xlabel(name, fontsize=style.SIZE, color=style.INK)
    return figure


def _rows(axes: Axes, lines: Sequence[Line]) -> None:
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
        _interval(axes, (one.lo, one.hi), (place, place), (one.value, place), one)
        if line.images:
            style.beside(axes, place, f"{line.images:,}")
        if not np.isfinite(one.value):
            label.set_alpha(style.SOFT)


def _interval(axes: Axes, x, y, dot: tuple[float, float], one: Estimate) -> None:
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


def _band(span, line, whole: Estimate) -> None:
    """Draws the band; span, line: axvspan and axvline, or axhspan and axhline."""
    if np.isfinite(whole.lo):
        span(whole.lo, whole.hi, color=style.ORANGE, alpha=0.2, lw=0)
    if np.isfinite(whole.value):
        line(whole.value, color=style.ORANGE, lw=1.1)


def _limit(axes: Axes, estimates: Sequence[Estimate]) -> None:
    axes.set_xlim(*_ends(estimates))
    axes.locator_params(axis="x", nbins=5)


def _ends(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """The range of all values and intervals, with a margin; 0 to 1 if none is known."""
    values = [x for one in estimates for x in one[:3] if np.isfinite(x)]
    if not values:
        return 0.0, 1.0
    room = 0.05 * (max(values) - min(values)) or 0.05
    return min(values) - room, max(values) + room
