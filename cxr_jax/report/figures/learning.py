"""Learning curves: the loss of train and val, and the metric that chose the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cxr_jax.report.figures import style

_NONE = "nothing was recorded"


def curves(
    history: Sequence[dict[str, Any]], name: str, best_step: int
) -> tuple[Figure, Figure]:
    """The loss, and the selected metric on val with the chosen checkpoint marked.

    history: lines of metrics.jsonl, each with a 'step'; a value that is null or not
    finite is a gap in its line. name: of the metric, with or without 'val/' before it.
    """
    (of_loss, loss), (of_metric, chosen) = (style.new(height=2.6) for _ in range(2))
    name = name.removeprefix("val/")
    train = series(history, "train/loss")
    val = series(history, "val/loss")
    marks = series(history, f"val/{name}")
    style.words(chosen, _chosen(marks, best_step))
    drawn = _draw(loss, train, style.ORANGE, "", lw=1.1)
    drawn |= _draw(loss, val, style.BLUE, "o")
    if drawn:
        _name_ends(loss, {"train": train, "val": val})
    else:
        style.note(loss, _NONE)
    if not _draw(chosen, marks, style.BLUE, "o"):
        style.note(chosen, _NONE)
    _mark(chosen, marks, best_step)
    last = max([best_step, *(line["step"] for line in history), 1])
    for axes in (loss, chosen):
        axes.axvline(best_step, color=style.INK, lw=style.THIN, ls=(0, (4, 3)))
        axes.set_xlim(0, 1.02 * last)
        axes.locator_params(axis="y", nbins=5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.set_xlabel("step", fontsize=style.SIZE, color=style.INK)
    return of_loss, of_metric


def series(
    history: Sequence[dict[str, Any]], key: str
) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the lines with the key, by step; NaN if not a number."""
    found = [(line["step"], line[key]) for line in history if key in line]
    found.sort(key=lambda pair: pair[0])
    steps = np.array([step for step, _ in found], np.float64)
    values = [np.nan if value is None else value for _, value in found]
    values = np.array(values, np.float64)
    return steps, np.where(np.isfinite(values), values, np.nan)


def _draw(axes: Axes, line, colour: str, mark: str, lw: float = style.THICK) -> bool:
    """Draws a line; returns False if no value is known."""
    steps, values = line
    known = np.isfinite(values)
    # A value between two gaps has no line, so it gets a dot.
    before, after = np.append(False, known[:-1]), np.append(known[1:], False)
    alone = known & ~before & ~after
    axes.plot(steps, values, color=colour, lw=lw, marker=mark, ms=3, mec="none")
    if not mark:
        axes.plot(steps[alone], values[alone], "o", ms=2.5, mfc=colour, mec="none")
    return bool(known.any())


def _name_ends(axes: Axes, lines: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Writes the names of lines at their right ends, moved apart where needed."""
    values = np.concatenate([v for _, v in lines.values()])
    low, high = np.nanmin(values), np.nanmax(values)
    room = (high - low) or max(abs(high), 1.0)
    axes.set_ylim(low - 0.06 * room, high + 0.06 * room)
    ends = {
        n: v[np.isfinite(v)][-1] for n, (_, v) in lines.items() if np.isfinite(v).any()
    }
    height = -np.inf
    for name, end in sorted(ends.items(), key=lambda item: item[1]):
        height = max(end, height + 0.13 * room)
        style.beside(axes, height, name, alpha=1)


def _chosen(marks: tuple[np.ndarray, np.ndarray], best_step: int) -> str:
    steps, values = marks
    here = values[steps == best_step]
    text = f"chosen: step {best_step:,}"
    if here.size and np.isfinite(here[-1]):
        text += f", {here[-1]:.3f}"
    return text


def _mark(axes: Axes, marks: tuple[np.ndarray, np.ndarray], best_step: int) -> None:
    steps, values = marks
    here = steps == best_step
    axes.plot(
        steps[here],
        values[here],
        "o",
        ms=7,
        mfc="none",
        mec=style.INK,
        mew=1.2,
        zorder=4,
    )
