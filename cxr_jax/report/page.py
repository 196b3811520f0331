"""Renders a report as one HTML page and as Markdown."""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from cxr_jax.report import cases, table
from cxr_jax.report.cases import Cases
from cxr_jax.report.figures import style
from cxr_jax.report.figures.drawings import Drawing
from cxr_jax.report.headline import Headline
from cxr_jax.report.material import Material
from cxr_jax.report.sections import Section
from cxr_jax.report.table import Table
from cxr_jax.report.warnings import Caution
from cxr_jax.runs import results
from cxr_jax.runs.text_table import count
from cxr_jax.stats.estimate import number

_HERE = pathlib.Path(__file__).parent
# Inches: a wider figure takes the full width of the page.
_WIDE = 6.0
_CASES = (
    "Test images with the smallest and largest errors and the highest entropy. "
    "Films are shown as the model sees them, at a lower resolution."
)
_ZONES = " Each zone: predicted / reference, in yellow if a point or more apart."


class Report(NamedTuple):
    """The parts of the page from top to bottom, and the run it describes."""

    material: Material
    headlines: list[Headline]
    cautions: list[Caution]
    sections: list[Section]
    cases: Cases


def to_html(report: Report) -> str:
    """Returns one self-contained HTML file, which needs no network."""
    content = _shared(report) | {
        "kinds": cases.KINDS,
        "config": json.dumps(report.material.config.to_dict(), indent=1),
    }
    return render("page.html", content)


def render(template: str, content: dict[str, Any]) -> str:
    """A page of this folder, with its style, its script and what its tables need."""
    shared = {
        "css": Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        "js": Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        "svg": _svg,
        "is_wide": lambda figure: figure.get_figwidth() > _WIDE,
        "number": number,
        "text": table.text,
        "sort_key": table.sort_key,
        "is_numeric": table.is_numeric,
        "is_prose": table.is_prose,
    }
    page = _environment(autoescape=True).get_template(template)
    return page.render(shared | content)


def to_markdown(report: Report) -> str:
    """Returns Markdown for a repository; figures and tables are files beside it."""
    content = _shared(report) | {
        "markdown": table.to_markdown,
        "cards": headline_table(report.headlines),
        "cases_table": cases.table(report.cases.shown),
    }
    environment = _environment(autoescape=False)
    environment.finalize = _without_html
    return environment.get_template("page.md").render(content)


def headline_table(headlines: list[Headline]) -> Table:
    """The headline metrics."""
    rows = [
        (
            each.label,
            each.estimate,
            "; ".join(
                f"{what} {number(value.value)}" for what, value in each.beside.items()
            ),
            each.metric,
        )
        for each in headlines
    ]
    head = ("metric", "test (95 % interval)", "compared with", "name")
    return Table("headline", "Summary", head, rows)


def _shared(report: Report) -> dict[str, Any]:
    material = report.material
    size = material.results["sizes"]["parameters"]
    name = material.workdir.resolve().name
    known = material.task.probabilities
    checked = sum(each.severity == "fine" for each in report.cautions)
    return {
        "title": f"{name}: {material.config.model.name} on {material.results['dataset']}",
        "subtitle": (
            f"Task {material.config.task.name}, {size:,} parameters, seed "
            f"{material.config.seed}, checkpoint of step "
            f"{material.results['best']['step']:,}."
        ),
        "tested": (
            f"Tested on {results.count(material.splits.test)}, which were not used to "
            "train the model or to choose the checkpoint."
            + f" 95 % bootstrap intervals over {material.splits.test.unit}."
            * bool(material.config.resamples)
        ),
        "headlines": report.headlines,
        "cautions": report.cautions,
        "checked": count(checked, "checks passed").replace("1 checks", "1 check"),
        "sections": report.sections,
        "cases": report.cases,
        "cases_note": _CASES
        + _ZONES * (known is not None and known.is_graded)
        + f" {report.cases.note}" * bool(report.cases.note),
    }


def _environment(*, autoescape: bool) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _without_html(value: Any) -> Any:
    """Markdown passes HTML through, which the names of files and classes may hold."""
    return value.replace("<", "&lt;") if isinstance(value, str) else value


def _svg(drawing: Drawing) -> Markup:
    return Markup(style.inline_svg(drawing.figure, drawing.name, drawing.title))
