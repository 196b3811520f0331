"""Figures of a sweep: differences from its baseline, and all learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cxr_jax.report.figures import rows as rows_lib
from cxr_jax.report.figures import style
from cxr_jax.report.figures.learning import series
from cxr_jax.stats.estimate import Estimate

_LONGEST = 26  # characters of a setting's name
_SIDE_NAME = 30  # the same above a small panel


def differences(
    rows: Sequence[tuple[str, Estimate]], baseline: str, name: str, better: str
) -> Figure:
    """Settings minus the baseline, with intervals; the line is no difference.

    Args:
      rows: (setting, difference), drawn from the top.
      name: of the metric; better: 'lower' or 'higher', '' where neither is.
    """
    lines = [
        rows_lib.Line(style.shortened(text, _LONGEST), 0, one) for text, one in rows
    ]
    figure, axes = style.new(height=1.0 + 1.4 * rows_lib.HEIGHT * max(len(lines), 1))
    rows_lib.draw(axes, lines)
    axes.axvline(0, color=style.INK, lw=style.THIN, ls=(0, (4, 3)))
    known = [one for _, one in rows]
    rows_lib.limit(axes, [*known, Estimate(0.0, 0.0, 0.0, 0)])
    side = {"lower": "left is better", "higher": "right is better"}.get(better, "")
    base = f"dashed: {style.shortened(baseline, _LONGEST)}"
    style.words_over_all(axes, "; ".join(filter(None, [base, side])))
    label = f"{name}, difference"
    axes.set_xlabel(label, fontsize=style.SIZE, color=style.INK)
    return figure


def curves(
    histories: Mapping[str, Sequence[Sequence[dict[str, Any]]]], key: str, name: str
) -> Figure:
    """One panel a setting, one line a run; fainter: the runs of all others.

    Args:
      histories: {setting: lines of metrics.jsonl of each run}.
      key: 'val/mae_zone'; name: of the metric.
    """
    drawn = {
        setting: [series(history, key) for history in some]
        for setting, some in histories.items()
    }
    figure, panels = style.panels(len(drawn), height=1.9)
    everything = [line for some in drawn.values() for line in some]
    values = np.concatenate([v for _, v in everything] or [np.zeros(0)])
    for axes, (setting, own) in zip(panels, drawn.items(), strict=True):
        style.head(axes, style.shortened(setting, _SIDE_NAME))
        for steps, line in everything:
            axes.plot(steps, line, color=style.INK, lw=style.THIN, alpha=style.FAINT)
        for steps, line in own:
            axes.plot(steps, line, color=style.BLUE, lw=1.2)
        if not np.isfinite(values).any():
            style.note(axes, "nothing was recorded")
        axes.locator_params(axis="both", nbins=4)
    style.label_edges(panels, "step", "")
    figure.supylabel(f"{name} on val", fontsize=style.SIZE, color=style.INK)
    return figure
