"""The page of a sweep, and the files of its figures and tables."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

from cxr_jax.report import page, table
from cxr_jax.report.figures import style
from cxr_jax.report.figures.drawings import Drawing
from cxr_jax.report.table import Table
from tfds_builders.common import files


class Sweep(NamedTuple):
    """What the page says, from top to bottom.

    Attributes:
      title, subtitle: the question, and what was run.
      verdicts: the answer in sentences; the first sums up the others.
      drawings, tables: below it.
      notes: how the figures were made.
    """

    title: str
    subtitle: str
    verdicts: list[str]
    drawings: list[Drawing]
    tables: list[Table]
    notes: list[str]


def write(found: Sweep, folder: pathlib.Path) -> pathlib.Path:
    """Writes `answer.html`, `figures/` and `tables/`; returns the page."""
    with files.explained(folder):
        for name in ("figures", "tables"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    for drawing in found.drawings:
        path = folder / "figures" / drawing.name
        files.write_bytes(path.with_suffix(".png"), style.to_png(drawing.figure))
        files.write_bytes(path.with_suffix(".svg"), style.to_svg(drawing.figure))
    for each in found.tables:
        files.write_text(folder / "tables" / f"{each.name}.csv", table.to_csv(each))
    path = folder / "answer.html"
    files.write_text(path, page.render("sweep.html", found._asdict()))
    return path
