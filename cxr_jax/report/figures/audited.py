"""Figures of a model audit: by group, and on altered or partly hidden images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from matplotlib.figure import Figure

from cxr_jax.report.figures import rows as rows_lib
from cxr_jax.report.figures import style
from cxr_jax.stats.estimate import Estimate

_LONGEST = 24  # characters of a group's name; URLs are longer


def forest(
    rows: Sequence[tuple[str, str, int, Estimate]], whole: Estimate, name: str
) -> Figure:
    """A metric by group, with intervals, and that of all images as a band.

    rows: (attribute, group, images, estimate), drawn in order under the name of the
    attribute. name: of the metric.
    """
    lines: list[rows_lib.Line] = []
    for attribute, group in groupby(rows, key=lambda row: row[0]):
        heading = style.shortened(attribute.replace("_", " "), _LONGEST)
        lines.append(rows_lib.Line(heading, 0, None))
        lines += [
            rows_lib.Line(style.shortened(str(label), _LONGEST), images, estimate)
            for _, label, images, estimate in group
        ]
    figure, axes = style.new(height=0.85 + rows_lib.HEIGHT * max(len(lines), 1))
    rows_lib.draw(axes, lines)
    rows_lib.band(axes.axvspan, axes.axvline, whole)
    style.words_over_all(axes, f"line and band: all images, {whole.text()}")
    if lines:
        style.beside(axes, 0, "images")
    else:
        style.note(axes, "no group is large enough")
    rows_lib.limit(axes, [whole, *(line.estimate for line in lines if line.estimate)])
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
        rows_lib.band(axes.axhspan, axes.axhline, unaltered)
        places = range(len(estimates))
        values = [one.value for one in estimates]
        axes.plot(places, values, color=style.BLUE, lw=1.1, alpha=0.6)
        for place, one in zip(places, estimates, strict=True):
            rows_lib.interval(
                axes, (place, place), (one.lo, one.hi), (place, one.value), one
            )
        labels = [f"{strength:g}" for strength in found["strengths"]]
        axes.set_xticks(places, labels)
        axes.set_xlim(-0.4, len(estimates) - 0.6)
    low, high = rows_lib.ends(everything)
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
    lines = [rows_lib.Line("whole image", 0, unhidden)]
    lines += [
        rows_lib.Line(what, 0, Estimate.from_json(found["figure"]))
        for what, found in content.items()
    ]
    figure, axes = style.new(height=0.95 + 1.25 * rows_lib.HEIGHT * len(lines))
    rows_lib.draw(axes, lines)
    rows_lib.band(axes.axvspan, axes.axvline, unhidden)
    axes.axvline(chance, color=style.INK, lw=style.THIN, ls=(0, (4, 3)))
    known = [line.estimate for line in lines]
    rows_lib.limit(axes, [*known, Estimate(chance, chance, chance, 0)])
    style.words_over_all(axes, f"dashed: chance, {chance:.3g}; band: the whole image")
    axes.set_xlabel(name, fontsize=style.SIZE, color=style.INK)
    return figure
