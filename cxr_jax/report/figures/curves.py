"""ROC, precision-recall, calibration and decision curves, one panel per class.

Several classes are small multiples, each against the rest: overlapping lines with
bands cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr_jax.report.figures import points, style
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate
from cxr_jax.stats.patients import Rests

_ONE_CLASS = "not defined:\nall cases are of one class"
_EMPTY = "no cases"
# Beyond this, steps are narrower than a pixel, and straight lines make smaller files.
_STEPS = 500
# The strip below a calibration curve: a histogram of the predicted probabilities.
_STRIP, _STRIP_HEIGHT, _STRIP_BINS = -0.2, 0.15, 25


class Curve(NamedTuple):
    """A class against the rest, as a panel shows it.

    Attributes:
      name: of the class.
      positive: bool [N].
      probs: float [N] of the class, in 0..1.
      threshold: from which it is predicted; None: not marked.
      area: the AUROC with its interval; None: not written.
    """

    name: str
    positive: np.ndarray
    probs: np.ndarray
    threshold: float | None = None
    area: Estimate | None = None


def roc(one: Sequence[Curve], counts: np.ndarray) -> Figure:
    """ROC curves with 95 % bands over resampled patients and the operating points.

    counts: `bootstrap.weights`, [R + 1, N]. The band is pointwise, for sensitivity.
    """
    figure, panels = style.panels(len(one))
    for axes, curve in zip(panels, one, strict=True):
        words = f"AUROC {style.shown(curve.area)}" if curve.area else ""
        style.head(axes, curve.name, words)
        axes.plot([0, 1], [0, 1], color=style.INK, lw=style.THIN, ls=(0, (4, 3)))
        _unit_square(axes, len(one))
        if _is_empty(axes, curve):
            continue
        cases = points.ranked(curve.positive, curve.probs)
        both = curve.positive, ~curve.positive
        sensitivity = Rests(partial(points.sensitivity, cases), both)
        band = points.band(sensitivity, counts)
        _draw_band(axes, points.GRID, band)
        axes.plot(
            *points.roc(curve.positive, curve.probs), color=style.BLUE, lw=style.THICK
        )
        _mark_threshold(axes, curve, "threshold" if len(one) == 1 else "at")
    style.label_edges(panels, "1 \N{MINUS SIGN} specificity", "sensitivity")
    return figure


def precision_recall(one: Sequence[Curve], counts: np.ndarray) -> Figure:
    """Precision against recall with its band; chance is the prevalence.

    The area shown is the average precision (no interpolation), with its interval.
    """
    figure, panels = style.panels(len(one))
    for axes, curve in zip(panels, one, strict=True):
        _unit_square(axes, len(one))
        if _is_empty(axes, curve):
            style.head(axes, curve.name)
            continue
        cases = points.ranked(curve.positive, curve.probs)
        both = curve.positive, ~curve.positive
        area = bootstrap.estimate(
            Rests(
                partial(weighted.average_precision, curve.positive, curve.probs), both
            ),
            counts,
            undefined=_ONE_CLASS,
        )
        words = "average precision" if len(one) == 1 else "AP"
        style.head(axes, curve.name, f"{words} {style.shown(area)}")
        _draw_band(
            axes,
            points.GRID,
            points.band(Rests(partial(points.precision, cases), both), counts),
        )
        recall, precision = points.precision_recall(curve.positive, curve.probs)
        axes.plot(
            np.append(0, recall),
            np.append(precision[0], precision),
            color=style.BLUE,
            lw=style.THICK,
            drawstyle="steps-pre" if len(recall) <= _STEPS else "default",
        )
        _draw_prevalence(axes, float(np.mean(curve.positive)))
    style.label_edges(panels, "recall (sensitivity)", "precision (PPV)")
    return figure


def calibration(one: Sequence[Curve], counts: np.ndarray) -> Figure:
    """Observed shares against predicted probabilities in 10 bins of equal size.

    A hollow dot has no interval: all or none of its cases are positive. Below, a
    histogram of the probabilities.
    """
    figure, panels = style.panels(len(one))
    for axes, curve in zip(panels, one, strict=True):
        style.head(axes, curve.name)
        axes.plot([0, 1], [0, 1], color=style.INK, lw=style.THIN, ls=(0, (4, 3)))
        _unit_square(axes, len(one))
        axes.set_ylim(_STRIP - 0.02, 1.03)
        if not len(curve.probs):
            style.note(axes, _EMPTY)
            continue
        place = points.bins(curve.probs)
        for k, share in enumerate(points.shares(curve.positive, place, counts)):
            if share.n:
                _draw_share(axes, float(np.mean(curve.probs[place == k])), share)
        cases, edges = np.histogram(curve.probs, _STRIP_BINS, (0, 1))
        heights = _STRIP + _STRIP_HEIGHT * cases / cases.max()
        axes.stairs(
            heights, edges, baseline=_STRIP, fill=True, color=style.INK, alpha=0.35
        )
    style.label_edges(panels, "predicted probability", "observed share")
    return figure


def decision(one: Sequence[Curve], counts: np.ndarray) -> Figure:
    """Net benefit of the model, of treating all and of treating none, with a 95 % band.

    Vickers and Elkin 2006, doi 10.1177/0272989X06295361. The band is pointwise.
    """
    figure, panels = style.panels(len(one))
    for axes, curve in zip(panels, one, strict=True):
        style.head(axes, curve.name)
        axes.set(xlim=(0, 1), xticks=_ticks(len(one)))
        if not len(curve.probs):
            style.note(axes, _EMPTY)
            continue
        statistic = partial(
            points.net_benefit, points.ranked(curve.positive, curve.probs)
        )
        net = statistic(np.ones((1, len(curve.probs))))[0]
        band = points.band(statistic, counts)
        _draw_band(axes, points.THRESHOLDS, band)
        axes.plot(points.THRESHOLDS, net, color=style.BLUE, lw=style.THICK)
        _draw_references(axes, curve, float((net if band is None else band.hi).max()))
    style.label_edges(panels, "threshold probability", "net benefit")
    return figure


# In the order of a report.
KINDS: dict[str, Callable[[Sequence[Curve], np.ndarray], Figure]] = {
    "ROC": roc,
    "precision-recall": precision_recall,
    "calibration": calibration,
    "decision": decision,
}


def _ticks(count: int) -> list[float]:
    return [0, 0.5, 1] if count > 1 else [0, 0.2, 0.4, 0.6, 0.8, 1]


def _unit_square(axes: Axes, count: int) -> None:
    """Sets both axes to 0 to 1, with room for lines along an edge."""
    ticks = _ticks(count)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03), xticks=ticks, yticks=ticks)


def _is_empty(axes: Axes, curve: Curve) -> bool:
    """Whether there is no curve to draw; writes the reason into the panel."""
    both = np.any(curve.positive) and not np.all(curve.positive)
    if not both:
        style.note(axes, _ONE_CLASS if len(curve.probs) else _EMPTY)
    return not both


def _draw_band(axes: Axes, x: np.ndarray, band: points.Band | None) -> None:
    if band is not None:
        axes.fill_between(
            x, band.lo, band.hi, color=style.BLUE, alpha=style.FAINT, lw=0
        )


def _mark_threshold(axes: Axes, curve: Curve, word: str) -> None:
    if curve.threshold is None:
        return
    called = np.asarray(curve.probs) >= curve.threshold
    positive = np.asarray(curve.positive, bool)
    x, y = called[~positive].mean(), called[positive].mean()
    axes.plot(x, y, "o", ms=6, mfc=style.ORANGE, mec="none", zorder=4, clip_on=False)
    words = f"{word} {curve.threshold:.2f}"
    # There is room below and to the right of a curve, but not at the right edge.
    side = {"ha": "left"} if x < 0.55 else {"ha": "right"}
    move = 0.045 if x < 0.55 else -0.03
    style.write(axes, x + move, y - 0.02, words, va="top", **side)


def _draw_prevalence(axes: Axes, share: float) -> None:
    axes.axhline(share, color=style.INK, lw=style.THIN, ls=(0, (4, 3)))
    above = share < 0.88
    style.write(
        axes,
        0.02,
        share + (0.02 if above else -0.03),
        f"prevalence {share:.2f}",
        va="bottom" if above else "top",
        alpha=style.SOFT,
    )


def _draw_share(axes: Axes, x: float, share: Estimate) -> None:
    """Draws a dot with its interval; hollow without one."""
    known = np.isfinite(share.lo)
    if known:
        axes.plot(
            [x, x],
            [share.lo, share.hi],
            color=style.BLUE,
            lw=1.1,
            solid_capstyle="butt",
        )
    axes.plot(
        x,
        share.value,
        "o",
        ms=5,
        mfc=style.BLUE if known else "none",
        mec=style.BLUE,
        clip_on=False,
        zorder=4,
    )


def _draw_references(axes: Axes, curve: Curve, highest: float) -> None:
    """Draws treating all and treating none, and limits the axis to what matters."""
    everybody = points.net_benefit_of_all(curve.positive)
    prevalence = float(np.mean(curve.positive))
    top = max(highest, prevalence, 0.02) * 1.12
    axes.set_ylim(-0.25 * top, top)
    axes.axhline(0, color=style.INK, lw=style.THIN)
    axes.plot(
        points.THRESHOLDS, everybody, color=style.INK, lw=style.THIN, ls=(0, (4, 3))
    )
    style.beside(axes, 0, "none")
    if 0 < prevalence < 1:
        low = -0.17 * top
        odds = (prevalence - low) / (1 - prevalence)
        x = odds / (1 + odds)
        right = x < 0.7
        style.write(
            axes,
            x + (0.03 if right else -0.02),
            low,
            "all",
            ha="left" if right else "right",
            va="center",
            alpha=style.SOFT,
        )
