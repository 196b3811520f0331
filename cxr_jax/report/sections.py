"""The sections of a report, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cxr_jax.audits import verdicts
from cxr_jax.evaluation import subgroups
from cxr_jax.metrics.registry import metric
from cxr_jax.report import headline, tables
from cxr_jax.report.figures import drawings
from cxr_jax.report.figures.drawings import Drawing
from cxr_jax.report.material import Material, model_verdicts
from cxr_jax.report.table import Table
from cxr_jax.runs.text_table import count
from cxr_jax.stats.estimate import number


class Section(NamedTuple):
    """A section of the page.

    Attributes:
      anchor: its id.
      title: its heading.
      lines: sentences.
      drawings, tables: always shown; `folded` tables are collapsed at first.
    """

    anchor: str
    title: str
    lines: list[str]
    drawings: list[Drawing]
    tables: list[Table]
    folded: Sequence[Table] = ()


def sections(material: Material) -> list[Section]:
    """Returns all sections but the summary and the cases."""
    provenance = [tables.provenance(material)]
    return [
        _performance(material),
        _subgroups(material),
        _audits(material),
        _external(material),
        _data(material),
        Section("learning", "Training", [], drawings.of_training(material), []),
        Section("provenance", "Provenance", [], [], provenance),
        _checklists(material),
    ]


def _performance(material: Material) -> Section:
    folded = [tables.metrics(material)]
    if material.labels is not None:
        folded.append(tables.confusion(material))
    drawn = drawings.of_test(material)
    return Section("performance", "Performance", [], drawn, [], folded)


def _subgroups(material: Material) -> Section:
    anchor, title = "subgroups", "Subgroups"
    if material.labels is None:
        return Section(anchor, title, ["Not measured for this task."], [], [])
    split, main = material.splits.test, material.task.main
    decision = material.results["best"]["decision"]

    def make(rows: np.ndarray):
        return material.task.probabilities.statistics(
            material.labels[rows], material.probs[rows], decision
        )

    rows = subgroups.of_metrics(
        split.table, split.label_names, make, material.counts, (main,)
    )
    if not rows:
        text = f"No group has {subgroups.LEAST} images or more, so none was evaluated."
        return Section(anchor, title, [text], [], [])
    whole = headline.estimates(material, "test")[main]
    names = list(rows[0].figures)
    table = Table(
        "subgroups",
        "All metrics by group",
        ("attribute", "group", "images", split.unit, *(metric(n).label for n in names)),
        [
            (r.attribute, r.name, r.images, r.patients, *r.figures.values())
            for r in rows
        ],
        f"Groups of at least {subgroups.LEAST} images.",
    )
    folded = [table, *_limits(material)]
    shown = [row for row in rows if row.figures[main].is_defined]
    lines = _gaps(rows, main)
    if len(shown) < len(rows):
        lines.append(
            f"{metric(main).label} is not defined in "
            f"{count(len(rows) - len(shown), 'groups')}, which lack a class."
        )
    drawn = [drawings.of_groups(shown, whole, main)] if shown else []
    return Section(anchor, title, lines, drawn, [], folded)


def _gaps(rows: list[subgroups.Row], main: str) -> list[str]:
    """Describes the worst group of every attribute."""
    lines = []
    for found in subgroups.worst(rows, main):
        gap = found.gap
        if not gap.value > 0:  # undefined, or no worse than all others
            continue
        text = (
            f"{found.attribute.replace('_', ' ')}: {metric(main).label} is worst for {found.worst.name} "
            f"({count(found.worst.images, 'images')}), {number(gap.value)} worse than "
            "for all others"
        )
        if gap.has_interval:
            sure = "excludes 0" if gap.lo > 0 else "includes 0, so it may be chance"
            text += f" ({gap.interval()}, which {sure})"
        lines.append(f"{text}.")
    if lines:
        lines.append(
            "The worst group was picked afterwards: among many, some do worse by chance."
        )
    return lines


def _limits(material: Material) -> list[Table]:
    if not material.task.probabilities.is_graded:
        return []
    split = material.splits.test
    expected = material.probs @ np.arange(material.probs.shape[-1])
    found = subgroups.limits(
        split.table, split.label_names, material.labels, expected, material.counts
    )
    unit = split.unit
    head = (
        "attribute",
        "group",
        "images",
        unit,
        "bias",
        "SD",
        "lower limit",
        "upper limit",
    )
    rows = [tuple(each[:-1]) for each in found]  # but for p
    title = "Bias and limits of agreement of the global score by group"
    return [Table("limits", title, head, rows)] if rows else []


def _audits(material: Material) -> Section:
    lines: list[str] = []
    drawn: list[Drawing] = []
    shown: list[Table] = []
    folded: list[Table] = []
    if material.model_audit is None:
        lines.append("The model has not been audited.")
    else:
        lines += map(verdicts.words, model_verdicts(material))
        drawn += drawings.of_model_audit(material.model_audit)
        folded += [tables.hidden(material), tables.altered(material)]
    if material.audit is None:
        lines.append("The data have not been audited.")
    else:
        shown.append(tables.without_lung(material))
        folded.insert(0, tables.audited(material))
    title = "Shortcut and robustness audit"
    return Section("audits", title, lines, drawn, shown, folded)


def _external(material: Material) -> Section:
    title = "External validation"
    if not material.evaluations:
        text = "The model has not been tested on external data."
        return Section("external", title, [text], [], [])
    return Section("external", title, [], [], [tables.external(material)])


def _data(material: Material) -> Section:
    shown, lines = [tables.splits(material)], []
    who = tables.characteristics(material)
    if who.rows:
        shown.append(who)
    else:
        lines.append("The dataset records nothing about the patients.")
    counted = tables.left_out(material)
    return Section(
        "data",
        "Data",
        lines,
        [drawings.of_data(material)],
        shown,
        [counted] if counted.rows else [],
    )


def _checklists(material: Material) -> Section:
    listed = list(tables.checked(material).values())
    lines = [_answered(table) for table in listed]
    return Section("checklist", "Reporting checklist", lines, [], [], listed)


def _answered(table: Table) -> str:
    status = [row[3] for row in table.rows]
    counted = [f"{status.count(s)} {s}" for s in ("answered", "partly", "open")]
    text = ", ".join(counted).replace(" partly", " partly answered")
    return f"{table.title}: {len(status)} items, {text}."
