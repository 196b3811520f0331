"""The answer as tables: for the terminal, Markdown, LaTeX and spreadsheets."""

from __future__ import annotations

import math

from cxr_jax.metrics.registry import metric as metric_of
from cxr_jax.report.table import Cell, Table
from cxr_jax.runs import text_table
from cxr_jax.stats.estimate import Estimate, number, point

from .answer import Answer, Row

# LaTeX's own characters, as text.
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def settings(found: Answer) -> Table:
    """A row a setting: seeds, films, metrics with their intervals, time, memory."""
    head = ("setting", "seeds", "films", "patients")
    labels = [metric_of(name).label for name in found.metrics]
    rows = [
        (
            _name(found, row),
            len(row.setting.runs),
            row.images,
            row.patients or None,
            *(row.figures[name].estimate for name in found.metrics),
            ", ".join(
                metric_of(name).label for name in found.metrics if name in row.best
            ),
            _known(row.minutes, 1),
            row.peak_mb,
        )
        for row in found.rows
    ]
    tail = ("best in", "minutes", "most memory, MB")
    return Table("settings", "Settings", (*head, *labels, *tail), rows)


def differences(found: Answer) -> Table:
    """A row a setting and metric: the difference from the baseline, and its p."""
    rows: list[tuple[Cell, ...]] = [
        (
            row.setting.name,
            metric_of(name).label,
            row.gaps[name].effect.estimate,
            _p(row.gaps[name].p),
            point(row.gaps[name].effect.least),
        )
        for name in found.metrics
        for row in found.rows
        if name in row.gaps
    ]
    head = (
        "setting",
        "metric",
        f"minus {found.baseline}",
        "p (Holm)",
        "smallest shown",
    )
    return Table("differences", "Differences from the baseline", head, rows)


def _name(found: Answer, row: Row) -> str:
    is_baseline = row.setting.name == found.baseline and len(found.rows) > 1
    return row.setting.name + " (baseline)" * is_baseline


def lines(found: Answer, name: str) -> list[str]:
    """One metric of every setting for a terminal, with the difference and its p."""
    label = metric_of(name).label
    head = [label, "seeds", "test", "minus baseline", "p (Holm)"]
    rows = []
    for row in found.rows:
        gap = row.gaps.get(name)
        rows.append(
            [
                row.setting.name,
                str(len(row.setting.runs)),
                cell(row, name, "{} *"),
                gap.effect.estimate.text(sign=True) if gap else "",
                _p(gap.p) if gap else "",
            ]
        )
    return text_table.lines(head, rows)


def _p(p: float) -> str:
    return "" if math.isnan(p) else text_table.probability(p)


def _known(value: float, digits: int) -> float | None:
    return None if math.isnan(value) else round(value, digits)


def cell(row: Row, name: str, best: str) -> str:
    """'0.612 (0.571 to 0.653)', with the mark of the best."""
    text = row.figures[name].estimate.text()
    return best.format(text) if name in row.best else text


def markdown(found: Answer) -> str:
    """The settings as a table of GitHub Markdown, the best in bold."""
    labels = [metric_of(name).label for name in found.metrics]
    lines = [
        "| setting | seeds | films | " + " | ".join(labels) + " |",
        "| --- | ---: | ---: |" + " ---: |" * len(labels),
    ]
    for row in found.rows:
        cells = [
            _name(found, row).replace("|", "\\|"),
            str(len(row.setting.runs)),
            f"{row.images:,}",
            *(cell(row, name, "**{}**") for name in found.metrics),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def latex(found: Answer) -> str:
    """The settings as a table of LaTeX's booktabs, the best in bold."""
    labels = [_latex(metric_of(name).label) for name in found.metrics]
    lines = [
        r"% \usepackage{booktabs}",
        rf"\begin{{tabular}}{{lrr{'r' * len(labels)}}}",
        r"\toprule",
        " & ".join(["setting", "seeds", "films", *labels]) + r" \\",
        r"\midrule",
    ]
    for row in found.rows:
        cells = [
            _latex(_name(found, row)),
            str(len(row.setting.runs)),
            f"{row.images:,}",
            *(_latex_cell(row, name) for name in found.metrics),
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_cell(row: Row, name: str) -> str:
    estimate: Estimate = row.figures[name].estimate
    text = number(estimate.value)
    if estimate.has_interval:
        text += f" ({number(estimate.lo)}--{number(estimate.hi)})"
    return rf"\textbf{{{text}}}" if name in row.best else text


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
