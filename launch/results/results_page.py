"""The table of results and its picture as words: Markdown."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from matplotlib.figure import Figure

from cxr_jax.metrics.registry import metric as metric_of
from cxr_jax.report.figures import slopes
from cxr_jax.runs import text_table
from cxr_jax.stats.estimate import Estimate, number, point

from . import leaks as leaks_lib
from .outcome import MEASURED, NEEDS, Outcome, headline, is_mostly_shortcut
from .row import HONEST, REPRODUCED, Arm

COLUMNS = ("claimed", "reproduced", "honest", "elsewhere")
_HEAD = ("", "claimed", "reproduced as published", "honest", "elsewhere", "audit")


def table(outcomes: Sequence[Outcome]) -> str:
    """The rows with a figure: claimed, reproduced, honest, elsewhere, audited."""
    found = [each for each in outcomes if each.figures]
    return _markdown(_HEAD, [_cells(each) for each in found])


def protocols(outcomes: Sequence[Outcome]) -> str:
    """The rows without a figure yet: what was published, and the honest level known."""
    head = ("", "published", "honest level known", "protocol, here")
    found = [each for each in outcomes if each.state == NEEDS and not each.figures]
    found = [each for each in found if each.row.claim or each.row.level]
    rows = [
        (each.row.title, _claim(each), each.row.level, each.row.protocol)
        for each in found
    ]
    return _markdown(head, rows)


def missing(outcomes: Sequence[Outcome]) -> str:
    """The rows without a figure, or with a part of it, and why."""
    found = [each for each in outcomes if each.state != MEASURED]
    if not found:
        return "Every row has its figures."
    rows = [
        (each.row.name, each.state, each.reason, each.hint.replace("\n", " "))
        for each in found
    ]
    return _markdown(("row", "state", "why", "what to do"), rows)


def commands(outcomes: Sequence[Outcome], root: str) -> str:
    """For every row its configs, the command that makes it, and its report page.

    root: what paths of the repository begin with, '../' in docs/.
    """
    rows = []
    for each in outcomes:
        if not each.row.arms:
            continue
        configs = ", ".join(
            f"{name}: [`{_config(each, arm)}`]({root}{arm.config.partition(':')[0]})"
            for name, arm in each.row.arms.items()
        )
        quick = "QUICK=1 " if each.is_short else ""
        command = f"`make results {quick}ONLY={each.row.name}`"
        first = each.figures.get(HONEST) or each.figures.get(REPRODUCED)
        report = first.first / "report" / "report.html" if first else None
        there = f"`{_short(report)}`" if report is not None and report.exists() else ""
        rows.append((each.row.title, configs, command, there))
    return _markdown(("", "config", "command", "report"), rows)


def picture(outcomes: Sequence[Outcome]) -> Figure | None:
    """The slopes of all rows that are drawn and have two points; None without any."""
    by_metric: dict[str, list[slopes.Slope]] = {}
    for each in outcomes:
        points = _points(each)
        if each.row.is_drawn and sum(p is not None for p in points[1:]):
            line = slopes.Slope(each.row.title, points, is_mostly_shortcut(each))
            by_metric.setdefault(each.row.metric, []).append(line)
    if not by_metric:
        return None
    panels = []
    for name, lines in by_metric.items():
        lower = metric_of(name).sign < 0
        label = f"{metric_of(name).label}, {'lower' if lower else 'higher'} is better"
        panels.append(slopes.Panel(label, tuple(lines), lower))
    return slopes.slopes(panels, COLUMNS)


def summary(outcomes: Sequence[Outcome]) -> str:
    """For the terminal: state and honest figure of each row, then what is missing."""
    rows = []
    for each in outcomes:
        figure = headline(each, HONEST)
        shown = f"{metric_of(each.row.metric).label} {figure.text()}" if figure else ""
        rows.append([each.row.name, each.state, shown])
    lines = text_table.lines(["row", "state", "honest"], rows)
    for each in outcomes:
        if each.state != MEASURED:
            lines += ["", text_table.wrapped(f"{each.row.name}: {each.reason}")]
            lines.append(text_table.wrapped(f"-> {each.hint}", "    "))
    return "\n".join(lines)


def _points(each: Outcome) -> tuple[Estimate | None, ...]:
    claim, external = each.row.claim, each.external
    claimed = point(claim.value) if claim and claim.value == claim.value else None
    elsewhere = external.estimates.get(each.row.metric) if external else None
    shown = (headline(each, REPRODUCED), headline(each, HONEST), elsewhere)
    return claimed, *(p if p is not None and p.is_defined else None for p in shown)


def _cells(each: Outcome) -> tuple[str, ...]:
    note = f"<br>{each.row.protocol}"
    if each.is_short:
        note += "<br>**short trainings**"
        note += f": {each.row.quick_note}" if each.row.quick_note else ""
    return (
        f"**{each.row.title}**{note}",
        "<br>".join(filter(None, [_claim(each), _level(each)])),
        _arm(each, REPRODUCED),
        _arm(each, HONEST),
        _elsewhere(each),
        _audit(each),
    )


def _claim(each: Outcome) -> str:
    claim = each.row.claim
    if claim is None:
        return ""
    checked = f"looked up: {claim.checked}" if claim.checked else ""
    return "<br>".join(filter(None, [claim.text, claim.on, claim.source, checked]))


def _level(each: Outcome) -> str:
    return f"*honest level known:* {each.row.level}" if each.row.level else ""


def _arm(each: Outcome, name: str) -> str:
    found = each.figures.get(name)
    if found is None:
        return ""
    lines = []
    for metric in (each.row.metric, *each.row.beside):
        if metric in found.estimates:
            text = found.estimates[metric].text()
            if not lines:
                text = f"**{text}**"
            if metric in found.constant:
                text += f", constant {number(found.constant[metric])}"
            lines.append(f"{metric_of(metric).label} {text}")
    unit = "" if found.unit == "images" else f" of {found.patients:,} {found.unit}"
    lines.append(f"{found.images:,} films{unit}")
    leaks = leaks_lib.words(found.leaks, found.unit) if found.leaks else []
    lines += [f"**{line}**" for line in leaks]
    values = found.by_seed.get(each.row.metric, [])
    if len(values) > 1:
        ends = f"{number(min(values))} to {number(max(values))}"
        lines.append(f"{len(values)} seeds: {ends}")
    return "<br>".join(lines)


def _elsewhere(each: Outcome) -> str:
    found = each.external
    if found is None:
        return ""
    name = each.row.metric
    lines = [f"{found.name.removeprefix('@')}"]
    for metric in (name, *each.row.beside):
        if metric in found.estimates:
            text = found.estimates[metric].text()
            lines.append(f"{metric_of(metric).label} {text}")
    # Accuracy is not carried over: it depends on how common the classes are there.
    compared = next((m for m in (name, *each.row.beside) if m in found.drops), None)
    if compared:
        drop = found.drops[compared].text(sign=True)
        lines.append(f"{metric_of(compared).label} drops by {drop}")
    copies = f", {found.copies} copies left out" if found.copies else ""
    lines.append(f"{found.images:,} films of {found.patients:,} patients{copies}")
    return "<br>".join(lines)


def _audit(each: Outcome) -> str:
    found = each.audit
    if found is None:
        return ""
    lines = []
    if is_mostly_shortcut(each):
        lines.append("**Mostly a shortcut.**")
    if found.border is not None and found.border.is_defined:
        unseen = "" if found.is_border_seen else ", which this model does not see"
        lines.append(f"border alone: AUROC {found.border.text()}{unseen}")
    leaks = ", ".join(kind.replace("_", " ") for kind in found.leaks)
    lines.append(f"**{leaks}**" if leaks else "no copies or patients across splits")
    if found.shortcut is not None:
        lines.append(f"model on a border: {'SHORTCUT' if found.shortcut else 'passes'}")
    return "<br>".join(lines)


def _config(each: Outcome, arm: Arm) -> str:
    return (each.is_short and arm.quick_config) or arm.config


def _short(path: pathlib.Path) -> str:
    """The last part of a path that is the same on every machine."""
    return str(pathlib.PurePath(*path.parts[-6:]))


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = (cell.replace("|", "\\|").replace("\n", " ") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
