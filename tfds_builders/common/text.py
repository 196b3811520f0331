"""Names that others chose, on a terminal and in tables that people open in Excel."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

# Spreadsheets take a cell that begins with one of these for a formula.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE
)
# Control codes, the overrides of writing direction, and what is not Unicode at all.
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_WELCOME = "\n\t\u200c\u200d"  # line ends; joiners, which some scripts need


def printable(text: str) -> str:
    r"""The text with control codes written out (`\x1b[2J`), lines kept."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNPRINTABLE and character not in _WELCOME
        else character
        for character in text
    )


def cell(value: Any) -> str:
    """The value as the text of a table, so that no spreadsheet computes it.

    A text that begins like a formula gets an apostrophe before it; numbers do not.
    """
    text = "" if value is None else printable(str(value))
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def uncell(text: str) -> str:
    """What `cell` was made of, if that was printable."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """A table as csv, its cells by `cell`, lines ending in LF."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(map(cell, row) for row in rows)
    return stream.getvalue()
