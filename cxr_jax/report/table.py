"""A table of the report: the same rows for the page, for Markdown and for a spreadsheet."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.text import csv_text

# Text, a number, an estimate with its interval, or nothing.
Cell = str | int | float | Estimate | None


class Table(NamedTuple):
    """Rows under a header.

    Attributes:
      name: of the file, without its suffix.
      title, note: above and below it.
      head: the columns' names.
      rows: one cell per column.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    note: str = ""


def text(cell: Cell) -> str:
    """Formats a cell: '0.842 (0.801 to 0.876)', '1,200', 'not defined: ...'."""
    if cell is None:
        return ""
    if isinstance(cell, Estimate):
        return cell.text()
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:g}"


def sort_key(cell: Cell) -> str:
    """The key a column is sorted by: the number if there is one, else the text."""
    value = cell.value if isinstance(cell, Estimate) else cell
    if isinstance(value, str):
        return value
    return repr(float(value)) if value is not None and math.isfinite(value) else ""


def is_numeric(table: Table, column: int) -> bool:
    """Whether all filled cells of a column are numbers, which are right-aligned."""
    cells = [row[column] for row in table.rows if row[column] is not None]
    return bool(cells) and not any(isinstance(cell, str) for cell in cells)


def is_prose(table: Table) -> bool:
    """Whether it has sentences: on a narrow screen its cells are stacked."""
    cells = (cell for row in table.rows for cell in row if isinstance(cell, str))
    return any(len(cell) > 80 for cell in cells)


def to_csv(table: Table) -> str:
    """Writes every digit; an estimate takes four columns: value, lo, hi and n."""
    wide = [
        any(isinstance(row[k], Estimate) for row in table.rows)
        for k in range(len(table.head))
    ]
    rows = [_spread(table.head, wide, _head)]
    rows += [_spread(row, wide, _values) for row in table.rows]
    return csv_text(rows)


def to_markdown(table: Table) -> str:
    """Formats a table as GitHub Markdown."""
    rows = [table.head, *(tuple(text(cell) for cell in row) for row in table.rows)]
    lines = [
        "| " + " | ".join(_escaped(cell) or " " for cell in row) + " |" for row in rows
    ]
    marks = ["---:" if is_numeric(table, k) else "---" for k in range(len(table.head))]
    lines.insert(1, f"| {' | '.join(marks)} |")
    return "\n".join(lines)


def _spread(row, wide: list[bool], spread) -> list[Any]:
    found: list[Any] = []
    for cell, is_wide in zip(row, wide, strict=True):
        found += spread(cell) if is_wide else [_plain(cell)]
    return found


def _head(name: str) -> list[str]:
    return [name, f"{name} lo", f"{name} hi", f"{name} n"]


def _values(cell: Cell) -> list[Any]:
    if isinstance(cell, Estimate):
        return [_plain(cell.value), _plain(cell.lo), _plain(cell.hi), cell.n]
    return [_plain(cell), "", "", ""]


def _plain(cell: Any) -> Any:
    if isinstance(cell, float):
        return repr(float(cell)) if math.isfinite(cell) else ""
    return "" if cell is None else cell


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
