"""public-annotations.csv: six zones by each of two radiologists."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common.errors import InputError
from tfds_builders.common.tables import read_csv, refuse
from tfds_builders.common.zones import LEVELS, ZONES

TABLE = "public-annotations.csv"
_READERS = {"S": "senior", "J": "junior"}
_COLUMNS = ("filename", *(f"{r}-{c}" for r in _READERS for c in (*ZONES, "Global")))
_AGAIN = "Copy the table from the repository again."
# Of the released table, which the authors' split is drawn from.
_ROWS = 192
_TEST_SHARE, _SEED = 0.25, 23


class Row(NamedTuple):
    """One film: zones A..F, 0..3, by the senior and by the junior radiologist."""

    file_name: str
    senior: tuple[int, ...]
    junior: tuple[int, ...]


def read_annotations(path: Path) -> list[Row]:
    """Rows in file order.

    Errors: InputError, naming the rows, for scores other than 0..3, scores that do not
    add up to the reader's global score, and file names that appear twice.
    """
    table = read_csv(path, _COLUMNS)
    scores = {reader: [_zones(cells, reader) for cells in table] for reader in _READERS}
    names = [cells["filename"] for cells in table]
    twice = sorted({name for name in names if names.count(name) > 1})
    refuse(path, twice, "file names appear more than once", _AGAIN)
    for reader, who in _READERS.items():
        refuse(
            path,
            (n for n, zones in zip(names, scores[reader], strict=True) if not zones),
            f"rows have scores of the {who} reader outside 0 to {LEVELS - 1}",
            _AGAIN,
        )
        refuse(
            path,
            (
                f"{cells['filename']} ({sum(zones)}, not {cells[f'{reader}-Global']})"
                for cells, zones in zip(table, scores[reader], strict=True)
                if str(sum(zones)) != cells[f"{reader}-Global"]
            ),
            f"rows whose zones do not add up to {reader}-Global, the {who} reader's",
            _AGAIN,
        )
    return [Row(*row) for row in zip(names, scores["S"], scores["J"], strict=True)]


def authors_test(path: Path, rows: list[Row]) -> frozenset[str]:
    """File names of the test quarter that the authors' program draws.

    It is scikit-learn's `train_test_split(rows, test_size=0.25, random_state=23)` in
    file order (src/datasets/brixiascore_cohen.py of the repository), which permutes
    with numpy's legacy generator and takes the first quarter, rounded up.

    Errors: InputError for a table of another length, whose draw would differ.
    """
    if len(rows) != _ROWS:
        raise InputError(
            path,
            f"{len(rows)} rows, but the authors' split is drawn from the {_ROWS} rows "
            "of the released table",
            f"{_AGAIN} Or use a config without original_split.",
        )
    order = np.random.RandomState(_SEED).permutation(len(rows))
    return frozenset(
        rows[k].file_name for k in order[: math.ceil(_TEST_SHARE * len(rows))]
    )


def _zones(cells: dict[str, str], reader: str) -> tuple[int, ...]:
    """Zones A..F of one reader; () if one of them is not a score."""
    levels = [str(level) for level in range(LEVELS)]
    texts = [cells[f"{reader}-{zone}"] for zone in ZONES]
    return tuple(map(int, texts)) if all(text in levels for text in texts) else ()
