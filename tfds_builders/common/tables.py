"""Tables as they come with the releases: csv and xlsx, every cell a string.

Nothing is ever read as a number here: a Brixia score is the six characters
`000001`, and a BrixIA file name is a number too long for 64 bits.
"""

import csv
import io
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import openpyxl

from tfds_builders.common import limits
from tfds_builders.common.errors import InputError
from tfds_builders.common.text import printable

# Of a workbook. The largest table of a release has a few MB, and a spreadsheet ends at
# as many rows.
_MOST_UNPACKED, _MOST_ROWS = 64 << 20, 1 << 20
Table = list[dict[str, str]]


def read_csv(path: Path, required: Sequence[str], may_be_empty=False) -> Table:
    """Rows of a csv file, in file order, cells stripped of spaces.

    A byte order mark, `,` or `;` as separator, and LF or CRLF are all read. Blank
    lines are skipped. Columns are found by name, so their order is free.

    Errors: InputError where the file is missing, not UTF-8, lacks a required
    column, has a row of another length than the header, or has no rows (unless
    `may_be_empty`).
    """
    path = Path(path)
    data = _read(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            path,
            f"not UTF-8 text (byte {error.start})",
            "Copy the file from the release again, or save it as 'CSV UTF-8'.",
        ) from None
    header = text.lstrip().split("\n", 1)[0]
    separator = ";" if header.count(";") > header.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows: Table = []
    columns: list[str] = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not columns:
                columns = _checked_columns(path, cells, required)
            elif len(cells) != len(columns):
                raise InputError(
                    f"{path}, line {reader.line_num}",
                    f"{len(cells)} cells under {len(columns)} columns",
                    "Copy the file from the release again; an editor or a "
                    "spreadsheet may have changed its separators.",
                )
            else:
                rows.append(dict(zip(columns, cells, strict=True)))
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}",
            f"cannot be read as csv ({error})",
            "Copy the file from the release again.",
        ) from None
    if not rows and not (columns and may_be_empty):
        raise InputError(
            path, "the table has no rows", "Copy the file from the release again."
        )
    return rows


def read_xlsx(path: Path, required: Sequence[str]) -> Table:
    """Rows of the first sheet of an xlsx file; see `read_csv`.

    Cells past the header are dropped and missing cells are empty strings.

    Errors: InputError as of `read_csv`, for a damaged workbook, and for one that
    unpacks to more than `limits` allow.
    """
    path = Path(path)
    data = _read(path)
    try:
        _check_unpacked(path, data)
        with warnings.catch_warnings():
            # openpyxl warns about styles, which do not matter here.
            warnings.simplefilter("ignore")
            cells = _first_sheet(path, data)
    except InputError:
        raise
    except Exception as error:  # openpyxl believes what a workbook says
        raise InputError(
            path,
            f"cannot be read as an xlsx workbook ({_reason(error)})",
            "Copy the file from the release again.",
        ) from error
    if not cells:
        raise InputError(
            path, "the first sheet is empty", "Copy the file from the release again."
        )
    columns = _checked_columns(path, cells[0], required)
    return [
        {
            column: cell
            for column, cell in zip(columns, row + [""] * len(columns), strict=False)
            if column
        }
        for row in cells[1:]
    ]


def _read(path: Path) -> bytes:
    try:
        return limits.read_file(path)
    except FileNotFoundError:
        raise InputError(
            path, "there is no such file", "Unpack the release again."
        ) from None
    except OSError as error:
        raise InputError(
            path,
            f"cannot be read: {error.strerror}",
            "Get permission to read the file, or copy it from the release again.",
        ) from None


def _check_unpacked(path, data: bytes) -> None:
    """Raise InputError for a small file that holds far more than a table.

    zipfile never unpacks more of a member than the archive states.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _MOST_UNPACKED:
        raise InputError(
            path,
            f"unpacks to {size / 1e6:,.0f} MB, more than {_MOST_UNPACKED / 1e6:.0f}",
            "A table of a release is smaller: copy the file from the release again.",
        )


def _first_sheet(path, data: bytes) -> list[list[str]]:
    """The cells of the rows that have any."""
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    sheet = book.worksheets[0]
    # A size in the sheet is a hint that may be wrong: openpyxl would fill it up.
    sheet.reset_dimensions()
    rows = []
    for number, row in enumerate(sheet.iter_rows(values_only=True)):
        if number >= _MOST_ROWS:
            raise InputError(
                path,
                f"more than {_MOST_ROWS:,} rows, which no sheet has",
                "Copy the file from the release again.",
            )
        if any(cell is not None for cell in row):
            cells = ["" if cell is None else str(cell).strip() for cell in row]
            if any(cells):
                rows.append(cells)
    book.close()
    return rows


def _reason(error: Exception) -> str:
    """Its kind, and what it says if that is short."""
    lines = str(error).splitlines()
    said = f": {lines[0]}" if lines and len(lines[0]) <= 80 else ""
    return printable(f"{type(error).__name__}{said}")


def refuse(where, wrong: Iterable[str], found: str, hint: str) -> None:
    """Raise one InputError that counts the wrong entries and shows the first."""
    wrong = list(wrong)
    if wrong:
        raise InputError(where, f"{len(wrong)} {found}: {first(wrong)}", hint)


def first(names: Iterable[str], n: int = 5) -> str:
    """The first n names, and how many more there are, for a message."""
    names = list(names)
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more


def _checked_columns(path, columns, required) -> list[str]:
    missing = [name for name in required if name not in columns]
    if missing:
        raise InputError(
            path,
            f"the columns are {', '.join(repr(c) for c in columns)}; "
            f"missing: {', '.join(missing)}",
            "Check that this is the file of the release, separated by ',' or ';'. "
            f"It needs the columns {', '.join(required)}.",
        )
    twice = sorted({c for c in columns if c and columns.count(c) > 1})
    if twice:
        raise InputError(
            path,
            f"columns that appear more than once: {', '.join(twice)}",
            "Copy the file from the release again.",
        )
    return list(columns)
