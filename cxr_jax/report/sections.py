"""The parts of a report, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.audits.model import agreement_groups, subgroups
from cxr_jax.report import drawings, headline, tables
from cxr_jax.report.drawings import Drawing
from cxr_jax.report.material import Material
from cxr_jax.report.table import Table


class Section(NamedTuple):
    """A part of the page.

    Attributes:
      anchor: its id.
      title: its heading.
      lines: what is said in words.
      drawings, tables: what is shown; of `folded` ones only the title at first.
    """

    anchor: str
    title: str
    lines: list[str]
    drawings: list[Drawing]
    tables: list[Table]
    folded: Sequence[Table] = ()


def sections(material: Material) -> list[Section]:
    """All but the headline and the cases."""
    return [
        _curves(material),
        _subgroups(material),
        _audits(material),
        _external(material),
        _data(material),
        Section("learning", "Training", [], [drawings.of_training(material)], []),
        Section(
            "provenance", "Where it comes from", [], [], [tables.provenance(material)]
        ),
        _checklists(material),
    ]


def _curves(material: Material) -> Section:
    return Section(
        "curves",
        "How good it is",
        [],
        drawings.of_test(material),
        [],
        [tables.metrics(material)]
        + ([tables.confusion(material)] if material.labels is not None else []),
    )


def _subgroups(material: Material) -> Section:
    title = "Is it as good for everyone?"
    if material.labels is None:
        return Section(
            "subgroups", title, ["No figures by group are made for this task."], [], []
        )
    split = material.splits.test
    decision = material.results["best"]["decision"]

    def make(rows: np.ndarray):
        return material.task.probabilities.statistics(
            material.labels[rows], material.probs[rows], decision
        )

    main = headline.main_metric(material)
    rows = subgroups.of_metrics(
        split.table, split.label_names, make, material.counts, (main,)
    )
    if not rows:
        text = f"No group has {subgroups.LEAST} images: nothing can be said."
        return Section("subgroups", title, [text], [], [])
    names = list(rows[0].figures)
    whole = headline.estimates(material, "test")[main]
    shown = [(r.attribute, r.name, r.images, r.figures[main]) for r in rows]
    table = Table(
        "subgroups",
        "Every figure by group",
        ("", "group", "images", split.unit, *names),
        [
            (r.attribute, r.name, r.images, r.patients, *r.figures.values())
            for r in rows
        ],
        f"Groups of {subgroups.LEAST} images and more.",
    )
    folded = [table, *_limits(material)]
    drawn = drawings.of_groups(shown, whole, main)
    return Section("subgroups", title, _gaps(rows, main), [drawn], [], folded)


def _gaps(rows: list[subgroups.Row], main: str) -> list[str]:
    """The worst group of every attribute, in words."""
    lines = []
    for found in subgroups.worst(rows, main):
        gap = found.gap
        if not gap.value > 0:  # undefined, or no worse than all others
            continue
        text = (
            f"{found.attribute}: {main} is worst for {found.worst.name} "
            f"({found.worst.images} images), {gap.value:.3f} worse than in all others"
        )
        if np.isfinite(gap.lo):
            sure = "excludes 0" if gap.lo > 0 else "holds 0: it may be chance"
            text += f" ({gap.lo:.3f} to {gap.hi:.3f}, which {sure})"
        lines.append(text + ".")
    if lines:
        lines.append(
            "The worst was chosen after the fact: of many groups some seem worse."
        )
    return lines


def _limits(material: Material) -> list[Table]:
    if material.config.task.name != "brixia":
        return []
    split = material.splits.test
    expected = material.probs @ np.arange(material.probs.shape[-1])
    found = agreement_groups.limits(
        split.table, split.label_names, material.labels, expected, material.counts
    )
    unit = split.unit
    head = ("", "group", "images", unit, "bias", "SD", "lower limit", "upper limit")
    rows = [tuple(each) for each in found]
    title = "Differences of the global score by group (Bland and Altman)"
    return [Table("limits", title, head, rows)] if rows else []


def _audits(material: Material) -> Section:
    lines: list[str] = []
    drawn: list[Drawing] = []
    shown: list[Table] = []
    folded: list[Table] = []
    if material.audit is None:
        lines.append("The data were not audited.")
    else:
        shown.append(tables.without_a_lung(material))
        if material.audit["findings"]:
            shown.append(tables.findings(material))
    if material.model_audit is None:
        lines.append("The model was not audited.")
    else:
        lines += material.model_audit["verdicts"]
        drawn += drawings.of_model_audit(material.model_audit)
        folded += [tables.hidden(material), tables.altered(material)]
    title = "What it may have learned instead"
    return Section("audits", title, lines, drawn, shown, folded)


def _external(material: Material) -> Section:
    if not material.evaluations:
        text = "It was never tested on other data."
        return Section("external", "On other data", [text], [], [])
    return Section("external", "On other data", [], [], [tables.external(material)])


def _data(material: Material) -> Section:
    shown, lines = [tables.splits(material)], []
    who = tables.characteristics(material)
    if who.rows:
        shown.append(who)
    else:
        lines.append("The dataset tells nothing of who is in it.")
    return Section(
        "data",
        "The data",
        lines,
        [drawings.of_data(material)],
        shown,
        [tables.left_out(material)],
    )


def _checklists(material: Material) -> Section:
    listed = list(tables.checked(material).values())
    lines = [_answered(table) for table in listed]
    return Section("checklist", "What a paper has to say", lines, [], [], listed)


def _answered(table: Table) -> str:
    status = [row[3] for row in table.rows]
    counted: dict[str, Any] = {
        name: status.count(name) for name in dict.fromkeys(status)
    }
    text = ", ".join(f"{number} {name}" for name, number in counted.items())
    return f"{table.title}: {len(status)} items, {text}."
