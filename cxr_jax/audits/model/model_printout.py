"""The audit of a model as it is printed: tables of figures."""

from __future__ import annotations

from cxr_jax.audits.model import alterations
from cxr_jax.metrics.registry import metric
from cxr_jax.runs import results, text_table
from cxr_jax.stats.estimate import Estimate, number


def tables(split, figure, whole, hidden, altered, grouped) -> list[str]:
    """The figure with parts hidden, on altered pictures and by group."""
    label = metric(figure).label
    lines = [f"\n{split.dataset} test: {results.count(split)}; {label}"]
    if split.synthetic:
        lines.append("SYNTHETIC phantoms: these figures say nothing about patients.")
    rows = [["whole picture", *_cells(whole), ""]]
    rows += [
        [name, *_cells(found.figure), number(found.left.value, unit="%")]
        for name, found in hidden.items()
    ]
    lines += ["", "With parts hidden", *text_table.lines(
        ["", label, "95 % interval", "left above chance"], rows
    )]  # fmt: skip
    rows = []
    for name, pairs in altered.items():
        alteration = alterations.ALTERATIONS[name]
        strengths = "/".join(f"{s:g}" for s in alteration.strengths)
        values = [number(each.figure.value) for each in pairs]
        rows.append([name, f"{strengths} {alteration.unit}", *values])
    head = ["", "strength", *map(str, range(1, 6))]
    lines += ["", f"Altered, {label} by strength", *text_table.lines(head, rows)]
    if grouped:
        rows = [
            [
                f"{text_table.shortened(g.attribute, 16)} {text_table.shortened(g.name, 24)}",
                f"{g.images:,}",
                *_cells(g.figures[figure]),
                number(g.gaps[figure].value),
            ]
            for g in grouped
        ]
        head = ["", "images", label, "95 % interval", "worse by"]
        lines += ["", "By group", *text_table.lines(head, rows)]
    return lines


def _cells(estimate: Estimate) -> list[str]:
    return [number(estimate.value), estimate.interval()]
