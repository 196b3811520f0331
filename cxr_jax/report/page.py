"""The page, and the same in Markdown, from the sections of a report."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from cxr_jax.report import gallery, style, table
from cxr_jax.report.drawings import Drawing
from cxr_jax.report.gallery import Gallery
from cxr_jax.report.headline import Headline
from cxr_jax.report.material import Material
from cxr_jax.report.sections import Section
from cxr_jax.report.table import Table
from cxr_jax.report.warnings import Caution
from cxr_jax.runs import results
from cxr_jax.stats.bootstrap import Estimate

_HERE = pathlib.Path(__file__).parent
# Inches: a figure that is wider takes the whole width of the page.
_WIDE = 6.0
_CASES = (
    "Test images, chosen by the error and by the entropy of the prediction. "
    "Films are shown as the model gets them, at a lower resolution."
)
_ZONES = " In each zone: predicted / read, yellow where a point or more apart."


class Report(NamedTuple):
    """What stands on the page, from top to bottom, and the run that it is of."""

    material: Material
    headlines: list[Headline]
    cautions: list[Caution]
    sections: list[Section]
    gallery: Gallery


def to_html(report: Report) -> str:
    """One file that needs no other, nor a network."""
    content = _shared(report) | {
        "css": Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        "js": Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        "svg": _svg,
        "is_wide": lambda figure: figure.get_figwidth() > _WIDE,
        "kinds": gallery.KINDS,
        "number": table.number,
        "interval": _interval,
        "text": table.text,
        "sort_key": table.sort_key,
        "is_numeric": table.is_numeric,
        "config": json.dumps(report.material.config.to_dict(), indent=1),
    }
    return _environment(autoescape=True).get_template("page.html").render(content)


def to_markdown(report: Report) -> str:
    """For a repository; figures and tables lie beside it."""
    content = _shared(report) | {
        "markdown": table.to_markdown,
        "cards": headline_table(report.headlines),
        "cases_table": gallery.table(report.gallery.cases),
    }
    return _environment(autoescape=False).get_template("page.md").render(content)


def headline_table(headlines: list[Headline]) -> Table:
    """The figures that stand first."""
    rows = [
        (
            each.metric,
            each.title,
            each.estimate,
            "; ".join(
                f"{what}: {table.number(value.value)}"
                for what, value in each.beside.items()
            ),
        )
        for each in headlines
    ]
    head = ("metric", "what it is", "test (95 % interval)", "beside")
    return Table("headline", "Result", head, rows)


def _shared(report: Report) -> dict[str, Any]:
    material = report.material
    size = material.results["sizes"]["parameters"]
    name = material.workdir.resolve().name
    return {
        "title": f"{name}: {material.config.model.name} on {material.results['dataset']}",
        "subtitle": (
            f"Task {material.config.task.name}, {size:,} parameters, seed "
            f"{material.config.seed}, checkpoint of step {material.results['best']['step']:,}."
        ),
        "tested": (
            f"On {results.count(material.splits.test)} of the test split, which had no "
            "part in training or in the choice of the checkpoint."
            + f" Below each figure: its 95 % interval over {material.splits.test.unit}."
            * bool(material.config.resamples)
        ),
        "headlines": report.headlines,
        "cautions": report.cautions,
        "sections": report.sections,
        "gallery": report.gallery,
        "gallery_note": _CASES
        + _ZONES * (material.config.task.name == "brixia")
        + f" {report.gallery.note}" * bool(report.gallery.note),
    }


def _environment(*, autoescape: bool) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _svg(drawing: Drawing) -> Markup:
    return Markup(style.inline_svg(drawing.figure, drawing.name, drawing.title))


def _interval(estimate: Estimate) -> str:
    if not math.isfinite(estimate.lo):
        return estimate.reason
    return f"{table.number(estimate.lo)} to {table.number(estimate.hi)}"
