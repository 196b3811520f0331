import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfds_builders.common.errors import InputError
from tfds_builders.common.text import cell, csv_text, printable, uncell

BIDI = "\u202e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a film.png", "a film.png"),
        ("Röntgen, Ærø, 胸部", "Röntgen, Ærø, 胸部"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        (f"gnp{BIDI}.exe", "gnp\\u202e.exe"),
        ("a\udcffb", "a\\udcffb"),
        ("two\nlines\r", "two\nlines\\r"),
    ],
)
def test_printable(text, expected):
    assert printable(text) == expected
    assert str(InputError(text, "found", "hint")) == f"{expected}: found\n  -> hint"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("'=x", "''=x"),
        ("'x", "'x"),
        ("-1.5", "-1.5"),
        (-1e-7, "-1e-07"),
        (float("-inf"), "-inf"),
        ("-1+2", "'-1+2"),
        (3, "3"),
    ],
)
def test_cells_that_a_spreadsheet_would_compute(value, expected):
    assert cell(value) == expected
    assert uncell(expected) == str(value)


@given(st.lists(st.text(alphabet="=+-@'a1.", max_size=5), min_size=1, max_size=3))
def test_cells_are_read_back(texts):
    (row,) = csv.reader(io.StringIO(csv_text([[*texts, "end"]])))
    assert [uncell(text) for text in row] == [*texts, "end"]


def test_nothing_is_an_empty_cell():
    assert csv_text([["a", None, 0, ""]]) == "a,,0,\n"
