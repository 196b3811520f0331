"""Writes the report of a finished run: --mode=report, and at the end of training."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil

from cxr_jax.devices import processes
from cxr_jax.devices.terminal import say
from cxr_jax.report import (
    cases,
    headline,
    material,
    page,
    sections,
    table,
    warnings,
)
from cxr_jax.report.figures import style
from tfds_builders.common import files, lock

FOLDER = "report"


def write(workdir: pathlib.Path) -> int:
    """Writes `report/` in the workdir of a finished run; an older one is replaced.

    Args:
      workdir: of the run; nothing is computed again but the attribution maps of a few
        cases.

    Returns:
      The exit code.

    Raises:
      InputError: the run is not finished, its data are gone, or the disk is full.
    """
    if not processes.is_first():
        return 0
    path = render(material.read(workdir), workdir / FOLDER)
    say(f"\nreport: {path}")
    return 0


def write_missing(workdir: pathlib.Path) -> None:
    """Writes the report of a run that has none yet."""
    if not (workdir / FOLDER).exists():
        write(workdir)


def render(
    found: material.Material, final: pathlib.Path, side: int = cases.SIDE
) -> pathlib.Path:
    """Writes the folder of a report, completely or not at all; -> its page.

    side: of the images of cases, in pixels.
    """
    report = page.Report(
        found,
        headline.headlines(found),
        warnings.cautions(found),
        sections.sections(found),
        cases.make(found, side),
    )
    new = final.with_name(f".{final.name}.tmp")
    with files.explained(final), _alone(final.parent):
        shutil.rmtree(new, ignore_errors=True)
        try:
            _fill(new, report)
            files.write_text(new / "report.html", page.to_html(report))
            files.write_text(new / "report.md", page.to_markdown(report))
            _swap(new, final)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return final / "report.html"


@contextlib.contextmanager
def _alone(folder: pathlib.Path):
    """Makes other reports of the run wait: they would use the same file names."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock.take(descriptor, folder, busy=lambda: None)
        yield
    finally:
        os.close(descriptor)


def _fill(folder: pathlib.Path, report: page.Report) -> None:
    """Writes every figure as PNG and SVG, every table as CSV."""
    listed = [
        page.headline_table(report.headlines),
        cases.table(report.cases.shown),
    ]
    (folder / "figures").mkdir(parents=True)
    (folder / "tables").mkdir()
    for part in report.sections:
        for drawing in part.drawings:
            path = folder / "figures" / drawing.name
            path.with_suffix(".png").write_bytes(style.to_png(drawing.figure))
            path.with_suffix(".svg").write_bytes(style.to_svg(drawing.figure))
        listed += [*part.tables, *part.folded]
    for each in listed:
        text = table.to_csv(each)
        (folder / "tables" / f"{each.name}.csv").write_text(text, encoding="utf-8")


def _swap(new: pathlib.Path, final: pathlib.Path) -> None:
    """Replaces a folder; a rename cannot replace one that is not empty."""
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.replace(old)
    new.replace(final)
    shutil.rmtree(old, ignore_errors=True)
