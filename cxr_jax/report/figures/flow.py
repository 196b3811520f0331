"""The flow diagram: from the release to train, val and test, and what was left out.

After the CONSORT diagram (Schulz et al. 2010, doi 10.1136/bmj.c332), as STARD and
TRIPOD+AI recommend.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from cxr_jax.report.figures import style

# Lengths are in points.
_WIDTH = 72 * style.WIDTH
_MARGIN, _GAP, _PAD, _ARROW = 4.0, 8.0, 5.0, 24.0
_LINE = 12.0
# No-break spaces: SVG drops others.
_NO_BREAK = "\N{NO-BREAK SPACE}"
_INDENT = 2 * _NO_BREAK
_TYPE, _LETTER = 8.5, 5.1  # its size, and the average width of a letter


class Box(NamedTuple):
    """Lines of text in a frame; the first is bold.

    Attributes:
      lines: of the text, already broken.
      x, y: of the top left corner, y downwards.
      width: of the frame.
    """

    lines: list[str]
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        return 2 * _PAD + _LINE * len(self.lines)

    @property
    def bottom(self) -> float:
        return self.y + self.height


def diagram(
    release: str,
    excluded: Sequence[tuple[str, float]] | None,
    parts: Mapping[str, Mapping[str, float]],
    unit: str,
) -> Figure:
    """What was left out of a release, what was prepared, and what is in each split.

    release: its name. excluded: (text, number), in files, rows or images as the text
    says; zeros are not shown; None if it is not known what was excluded. parts: {'train': {'images': n, unit: m, and more}, ...}. unit: what a
    patient_id stands for, as 'patients'.
    """
    left = 0.44 * _WIDTH
    top = Box(_lines("release", [release], left), _MARGIN, _MARGIN, left)
    out = [(text, number) for text, number in excluded or () if number]
    x = top.x + left + 2.2 * _GAP
    aside = _WIDTH - _MARGIN - x
    words = ["nothing was left out" if excluded is not None else "left out: not known"]
    if out:
        words = _lines("left out", _counted(out), aside)
    side = Box(words, x, top.bottom + _GAP, aside)
    whole = sum(sizes["images"] for sizes in parts.values())
    prepared = Box(
        _lines("prepared", _counted([("images", whole)]), left),
        _MARGIN,
        side.bottom + _GAP,
        left,
    )
    splits = _splits(parts, unit, prepared.bottom + _GAP + _ARROW)
    height = max([prepared.bottom, *(box.bottom for box in splits)]) + _MARGIN
    figure, axes = _canvas(height)
    for box in (top, side, prepared, *splits):
        _draw_box(axes, box)
    _draw_arrows(axes, top, side, prepared, splits)
    return figure


def _counted(rows: Sequence[tuple[str, float]]) -> list[str]:
    return [f"{_number(number)} {text}" for text, number in rows]


def _lines(head: str, rows: Sequence[str], width: float) -> list[str]:
    """Rows under a heading, wrapped to the width of a box."""
    room = int((width - 2 * _PAD) / _LETTER)
    lines = [head]
    for text in rows:
        lines += textwrap.wrap(
            text,
            max(room, 8),
            subsequent_indent=_INDENT,
            break_on_hyphens=False,
            break_long_words=True,
        )
    return lines


def _splits(parts: Mapping[str, Mapping[str, float]], unit, y: float) -> list[Box]:
    """Returns a box per split, side by side: images, then the unit, then the rest."""
    count = max(len(parts), 1)
    width = (_WIDTH - 2 * _MARGIN - _GAP * (count - 1)) / count
    boxes = []
    for k, (name, sizes) in enumerate(parts.items()):
        first = [key for key in ("images", unit) if key in sizes]
        rest = [
            f"{key.replace('_', ' ')}:{_NO_BREAK}{_number(number)}"
            for key, number in sizes.items()
            if key not in first
        ]
        rows = _counted([(key, sizes[key]) for key in first]) + rest
        lines = _lines(name, rows, width)
        boxes.append(Box(lines, _MARGIN + k * (width + _GAP), y, width))
    tallest = max((len(box.lines) for box in boxes), default=0)
    return [
        box._replace(lines=box.lines + [""] * (tallest - len(box.lines)))
        for box in boxes
    ]


def _number(value: Any) -> str:
    return f"{value:,}" if float(value).is_integer() else f"{value:g}"


def _canvas(height: float) -> tuple[Figure, Axes]:
    """One panel without axes, measured in points from the top left."""
    figure = Figure((style.WIDTH, height / 72), facecolor="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    axes.axis("off")
    return figure, axes


def _draw_box(axes: Axes, box: Box) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (box.x, box.y), box.width, box.height, boxstyle="round,pad=0,rounding_size=3",
            fc=style.BLUE, ec="none", alpha=0.1,
        )
    )  # fmt: skip
    for k, line in enumerate(box.lines):
        weight = "bold" if k == 0 else "normal"
        y = box.y + _PAD + _LINE * (k + 0.78)
        style.write(axes, box.x + _PAD, y, line, weight=weight, fontsize=_TYPE)


def _draw_arrows(
    axes: Axes, top: Box, side: Box, prepared: Box, splits: Sequence[Box]
) -> None:
    """Draws arrows from the release past what was left out to each split."""
    stem = top.x + 0.5 * top.width
    middle = side.y + 0.5 * side.height
    fork = prepared.bottom + _GAP
    line = {"color": style.INK, "lw": style.THIN, "solid_capstyle": "butt"}
    _draw_arrow(axes, (stem, middle), (side.x, middle))
    _draw_arrow(axes, (stem, top.bottom), (stem, prepared.y))
    if not splits:
        return
    ends = [box.x + 0.5 * box.width for box in splits]
    axes.plot([stem, stem], [prepared.bottom, fork], **line)
    axes.plot([min(stem, *ends), max(stem, *ends)], [fork, fork], **line)
    for end, box in zip(ends, splits, strict=True):
        _draw_arrow(axes, (end, fork), (end, box.y))


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]):
    axes.annotate(
        "", end, start,
        arrowprops={
            "arrowstyle": "-|>,head_width=0.18,head_length=0.35", "color": style.INK,
            "lw": style.THIN, "shrinkA": 0, "shrinkB": 0,
        },
    )  # fmt: skip
