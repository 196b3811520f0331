"""Figures of agreement: scatter plot, Bland-Altman plot, confusion matrix, zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cxr_jax.metrics.brixia import LIMITS
from cxr_jax.report.figures import style
from cxr_jax.runs import text_table
from cxr_jax.stats import weighted
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.zones import LEVELS, ZONES

HIGHEST = (LEVELS - 1) * len(ZONES)
# Beyond this many images dots would hide each other: cells show their number.
DOTS = 1500
# The largest share of a cell's colour over white or near-black that keeps a contrast of
# 5 : 1 for the text on it, dark on the one and light on the other.
_STRONGEST = 0.6
_GOLDEN = 0.5 * (5**0.5 - 1)
_ROWS = ("upper", "middle", "lower")


def scatter(target, expected, reader2=None) -> Figure:
    """Predicted against reference global score of each image, with the identity line.

    target, expected: [N] in 0..18 points. reader2: [N] of a second reader, NaN where an
    image has none; its 95 % limits about the first are the grey band.
    """
    target, expected = (np.asarray(x, np.float64) for x in (target, expected))
    figure, axes = style.new(height=3.7)
    room = (-0.8, HIGHEST + 0.8)
    ticks = range(0, HIGHEST + 1, 3)
    axes.set(xlim=room, ylim=room, xticks=ticks, yticks=ticks)
    notes = []
    limits = _reader_limits(target, reader2)
    if limits is not None:
        ends = np.array([0, HIGHEST])
        axes.fill_between(
            ends, ends + limits[0], ends + limits[1], color=style.INK, alpha=0.13, lw=0
        )
        notes.append("grey: 95 % limits of a second reader")
    axes.plot([0, HIGHEST], [0, HIGHEST], color=style.INK, lw=style.THIN)
    if len(target) <= DOTS:
        _draw_dots(axes, target + _aside(target, expected), expected)
    else:
        most = _draw_cells(axes, target, expected, (1.0, 1.0))
        notes.append(f"cells: up to {most:,} images")
    style.words(axes, "; ".join(notes))
    _name_axes(axes, "reference score (points)", "predicted score (points)")
    return figure


def bland_altman(target, expected, bias: Estimate, low: Estimate, high: Estimate):
    """Predicted minus reference score against the mean of both.

    Bland and Altman 1986, doi 10.1016/S0140-6736(86)90837-8. target, expected: [N] in
    0..18 points. bias, low, high: the mean difference and the 95 % limits of agreement;
    their intervals are the bands.
    """
    target, expected = (np.asarray(x, np.float64) for x in (target, expected))
    figure, axes = style.new(height=3.5)
    middle, error = (target + expected) / 2, expected - target
    axes.axhline(0, color=style.INK, lw=style.THIN)
    if len(target) <= DOTS:
        _draw_dots(axes, middle, error)
    else:
        most = _draw_cells(axes, middle, error, (1.0, 0.5))
        style.words(axes, f"cells: up to {most:,} images")
    lines = {"upper limit": high, "bias": bias, "lower limit": low}
    for line in lines.values():
        if np.isfinite(line.value):
            _draw_level(axes, line)
    edges = [abs(x) for line in lines.values() for x in line[:3] if np.isfinite(x)]
    room = 1.12 * max([1.0, *np.abs(error), *edges])
    axes.set(xlim=(-0.5, HIGHEST + 0.5), ylim=(-room, room))
    axes.set_xticks(range(0, HIGHEST + 1, 3))
    _write_levels(axes, lines, room)
    _name_axes(
        axes, "mean of predicted and reference (points)", "predicted minus reference"
    )
    return figure


def confusion(
    cells, classes: Sequence[str], names: tuple[str, str] = ("reference", "predicted")
) -> Figure:
    """Images of each reference class by predicted class: counts and percent.

    cells: int [K, K], rows are the reference classes. names: of rows and columns.
    """
    cells = np.asarray(cells)
    size = len(classes)
    figure, axes = style.new(max(style.WIDTH, 1.4 + 0.5 * size), 1.3 + 0.52 * size)
    total = cells.sum(axis=1, keepdims=True)
    shares = np.divide(cells, total, out=np.zeros(cells.shape), where=total > 0)
    for row, column in np.ndindex(size, size):
        place = (column - 0.48, row - 0.47)
        share = float(shares[row, column])
        axes.add_patch(
            Rectangle(place, 0.96, 0.94, fc=style.BLUE, alpha=_STRONGEST * share, lw=0)
        )
        _write_cell(axes, row, column, int(cells[row, column]), share)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    _name_classes(axes, classes)
    _name_axes(axes, names[1], names[0])
    return figure


def zones(
    estimates: Mapping[str, Estimate], constant: Mapping[str, Estimate] | None = None
) -> Figure:
    """The error of each zone, laid out as the zones lie in the image.

    estimates: {'A': mean absolute error in points, ...} of the six zones; constant: the
    same of a constant predictor, drawn below it. A, B and C, the patient's right lung,
    are on the left.
    """
    figure, panels = style.grid(
        3, 2, style.WIDTH, 2.9 if constant else 2.4, sharex=True
    )
    known = [*estimates.values(), *(constant or {}).values()]
    ends = [x for one in known for x in one[:3] if np.isfinite(x)]
    for row, side in np.ndindex(3, 2):
        axes = panels[2 * row + side]
        zone = ZONES[3 * side + row]
        style.head(axes, zone)
        style.words(axes, f"{_ROWS[row]} {style.shown(estimates[zone])}", 14)
        _draw_interval(axes, 1, estimates[zone], style.BLUE, "o")
        if constant and zone in constant:
            _draw_interval(axes, 0, constant[zone], style.ORANGE, "D")
        low = -0.8 if constant else 0.2
        axes.set(xlim=(0, 1.05 * max([*ends, 0.1])), ylim=(low, 1.6), yticks=[])
        axes.spines["left"].set_visible(False)
        axes.tick_params(labelbottom=row == 2, length=3 if row == 2 else 0)
        if row == 0:
            lung = f"patient's {('right', 'left')[side]} lung"
            axes.set_title(lung, fontsize=style.SMALL, color=style.INK, pad=20)
    label = "mean absolute error (points)"
    label += "; diamonds: constant predictor" if constant else ""
    figure.supxlabel(label, fontsize=style.SIZE, color=style.INK)
    return figure


def _name_axes(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=style.SIZE, color=style.INK)
    axes.set_ylabel(y, fontsize=style.SIZE, color=style.INK)


def _reader_limits(target, reader2) -> tuple[float, float] | None:
    """95 % limits of the second reader about the first; None for under two films."""
    if reader2 is None:
        return None
    off = np.asarray(reader2, np.float64) - target
    off = off[np.isfinite(off)]
    if len(off) < 2:
        return None
    once = np.ones((1, len(off)))
    middle = weighted.mean(off, once)[0]
    spread = LIMITS * weighted.standard_deviation(off, once)[0]
    return middle - spread, middle + spread


def _aside(target, expected) -> np.ndarray:
    """Offsets of up to a quarter of a point, so that equal scores do not overlap.

    By the golden ratio along the predicted score: neighbours end up far apart.
    """
    place = np.argsort(np.lexsort((expected, target)))
    return 0.5 * ((place * _GOLDEN) % 1 - 0.5)


def _draw_dots(axes: Axes, x, y) -> None:
    colour = to_rgba(style.BLUE, 0.75 if len(x) <= 200 else 0.4)
    axes.plot(x, y, "o", ms=4, mfc=colour, mec="none", clip_on=False)


def _draw_cells(axes: Axes, x, y, size: tuple[float, float]) -> int:
    """Draws cells at whole multiples of a size; returns the most images in one.

    The opacity follows the root of the count, so that single images are visible.
    """
    place = np.stack([np.rint(x / size[0]), np.rint(y / size[1])], axis=1)
    cells, counts = np.unique(place, axis=0, return_counts=True)
    strength = np.round(0.1 + 0.85 * np.sqrt(counts / counts.max()), 2)
    for (column, row), alpha in zip(cells, strength, strict=True):
        corner = ((column - 0.5) * size[0], (row - 0.5) * size[1])
        axes.add_patch(
            Rectangle(corner, *size, fc=style.BLUE, alpha=float(alpha), lw=0)
        )
    return int(counts.max())


def _draw_level(axes: Axes, line: Estimate) -> None:
    if np.isfinite(line.lo):
        axes.axhspan(line.lo, line.hi, color=style.ORANGE, alpha=0.22, lw=0)
    axes.axhline(line.value, color=style.ORANGE, lw=1.2)


def _write_levels(axes: Axes, lines: Mapping[str, Estimate], room: float) -> None:
    """Writes names and values at the right edge, moved apart where needed."""
    known = {name: line for name, line in lines.items() if np.isfinite(line.value)}
    least, height = 0.4 * room, room
    for name, line in known.items():
        height = min(line.value, height - least)
        first, *rest = style.shown(line, 1).split(" (")
        text = "\n".join([name, first, *(f"({part}" for part in rest)])
        style.beside(axes, height, text, alpha=1)


def _write_cell(axes: Axes, row: int, column: int, count: int, share: float) -> None:
    weight = "bold" if row == column else "normal"
    style.write(
        axes, column, row - 0.02, f"{count:,}", ha="center", va="bottom", weight=weight,
        fontsize=style.SIZE,
    )  # fmt: skip
    style.write(
        axes,
        column,
        row + 0.06,
        text_table.percent(share),
        ha="center",
        va="top",
        fontsize=7,
    )


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    """Writes the class names, wrapped, and slanted if too wide for a column."""
    size = len(classes)
    places = range(size)
    room = int(4.6 * style.WIDTH * 72 / (5.6 * 6 * max(size, 2)))
    below = [style.wrapped(name, max(room, 9)) for name in classes]
    longest = max(len(line) for name in below for line in name.split("\n"))
    axes.set_yticks(places, [style.wrapped(name, 14) for name in classes])
    if longest <= room:
        axes.set_xticks(places, below)
    else:
        names = [style.shortened(name, 24) for name in classes]
        slant = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(places, names, **slant)


def _draw_interval(axes: Axes, height, found: Estimate, colour, mark: str) -> None:
    if np.isfinite(found.lo):
        axes.plot(
            [found.lo, found.hi], [height] * 2, color=colour, lw=1.4, clip_on=False,
            solid_capstyle="butt",
        )  # fmt: skip
    if np.isfinite(found.value):
        axes.plot(
            found.value, height, mark, ms=5, mfc=colour, mec="none", clip_on=False
        )
