"""covid-severity-scores.csv: extent and density of opacities, by three readers."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.errors import InputError
from tfds_builders.common.limits import read_file
from tfds_builders.common.tables import refuse

# Both lungs together. Cohen et al. 2020, arXiv 2005.11856.
_LARGEST = {"geographic_mean": 8, "opacity_mean": 6}
_COLUMNS = ("filename", *_LARGEST)
_AGAIN = "Copy the file from the repository again."


class Severity(NamedTuple):
    """Means of three readers; NaN where a film was not scored."""

    geographic_mean: float = math.nan
    opacity_mean: float = math.nan


def read_severity(path: Path) -> dict[str, Severity]:
    """Severity by file name; the table begins with five comment lines.

    Errors: InputError for other columns, repeated file names, scores out of range.
    """
    lines = read_file(path).decode("utf-8-sig", errors="replace").splitlines()
    rows = csv.reader(line for line in lines if line and not line.startswith("#"))
    header = next(rows, [])
    if tuple(header) != _COLUMNS:
        raise InputError(
            path,
            f"the columns are {', '.join(header) or 'none'}",
            f"It needs the columns {', '.join(_COLUMNS)}. {_AGAIN}",
        )
    severity, wrong = {}, []
    for row in rows:
        scores = _scores(row)
        if scores is None or row[0] in severity:
            wrong.append(",".join(row))
        else:
            severity[row[0]] = scores
    refuse(path, wrong, "rows repeat a file name or have scores out of range", _AGAIN)
    return severity


def _scores(row: list[str]) -> Severity | None:
    try:
        scores = Severity(*map(float, row[1:]))
    except (TypeError, ValueError):  # too many cells, or not a number
        return None
    in_range = (
        0 <= score <= _LARGEST[name] for name, score in scores._asdict().items()
    )
    return scores if all(in_range) else None
