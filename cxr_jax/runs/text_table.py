"""A table in plain text, for a terminal of 88 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from cxr_jax.stats.estimate import number

WIDTH = 88
_GAP = "  "


def lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows under a head; the first column left-aligned, the others right-aligned.

    Where the table is too wide, the first column is cut.
    """
    table = [list(head), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    others = sum(widths[1:]) + len(_GAP) * len(widths)
    widths[0] = min(widths[0], max(WIDTH - others, 12))
    return [
        _GAP
        + _GAP.join(
            [
                shortened(row[0], widths[0]).ljust(widths[0]),
                *(
                    cell.rjust(width)
                    for cell, width in zip(row[1:], widths[1:], strict=True)
                ),
            ]
        ).rstrip()
        for row in table
    ]


def shortened(text: str, length: int) -> str:
    """'covid_radiography' -> 'covid_rad...' where there is less room."""
    return text if len(text) <= length else text[: max(length - 3, 0)] + "..."


def count(n: int, unit: str) -> str:
    """'1 image', '1,200 images'."""
    return f"{n:,} {unit.removesuffix('s') if n == 1 else unit}"


def probability(p: float) -> str:
    """'0.034', '<0.001' or 'n/a'."""
    return "<0.001" if p < 0.001 else number(p)


def percent(share: float) -> str:
    """'3 %', '0.3 %', '<0.1 %'."""
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.{0 if share == 0 or share >= 0.1 else 1}f} %"


def wrapped(text: str, indent: str = "  ", width: int = WIDTH) -> str:
    """A sentence in lines of the terminal; those after the first further in."""
    return textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent + "  "
    )
