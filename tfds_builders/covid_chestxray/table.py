"""metadata.csv of the COVID-19 image data collection: one row for each file."""

import collections
import math
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tfds_builders.common.tables import read_csv
from tfds_builders.covid_chestxray.findings import is_path, path_of

TABLE = "metadata.csv"
# Columns of Y, N or nothing; RT_PCR_positive may be Unclear. Old editions lack some.
ANSWERS = (
    "RT_PCR_positive",
    "survival",
    "intubated",
    "intubation_present",
    "went_icu",
    "in_icu",
    "needed_supplemental_O2",
)
_COLUMNS = ("patientid", "finding", "view", "modality", "folder", "filename", "url")
_VIEWS = ("PA", "AP", "AP Supine", "AP semi erect", "AP erect", "L", "Axial", "Coronal")
_AS_WRITTEN = {view.lower(): view for view in _VIEWS}


class Row(NamedTuple):
    """What the table says about one file.

    Attributes:
      patient: '' where the table names none.
      finding: path in the tree of the later editions.
      view: '' unknown.
      age, offset: years, and days since the first symptoms or the admission; NaN
        unknown.
      source: host of the page that it was taken from.
      answers: of ANSWERS; '' unknown.
    """

    file_name: str
    patient: str
    finding: str
    view: str
    modality: str
    folder: str
    sex: str
    age: float
    offset: float
    location: str
    source: str
    license: str
    answers: tuple[str, ...]


class Metadata(NamedTuple):
    """The table: its edition, a row for each file name, and counts.

    `contradicted` are the file names whose rows disagree; they have no row.
    """

    edition: str
    rows: dict[str, Row]
    contradicted: frozenset[str]
    counts: dict[str, int]


def read_metadata(path: Path) -> Metadata:
    """metadata.csv of either generation, with flat findings or with paths.

    Errors: InputError for a file that is not this table.
    """
    # The spelling of the columns differs: `needed_supplemental_o2`, `pO2 saturation`.
    table = [
        {column.lower(): cell for column, cell in row.items()}
        for row in read_csv(path, _COLUMNS)
    ]
    kind = "as paths" if any(is_path(row["finding"]) for row in table) else "flat"
    repeated = collections.defaultdict(list)
    for cells in table:
        row = _row(cells)
        repeated[row.file_name].append(row)
    agreed = {n: same for n, same in repeated.items() if len(set(map(_who, same))) == 1}
    misread = sum(
        bool(cells.get(column, "")) and math.isnan(_number(cells[column]))
        for cells in table
        for column in ("age", "offset")
    )
    return Metadata(
        edition=f"of {len(table)} rows, findings {kind}",
        rows={name: same[0] for name, same in agreed.items()},
        contradicted=frozenset(repeated.keys() - agreed.keys()),
        counts={
            "rows_repeated": sum(len(same) - 1 for same in agreed.values()),
            "files_contradicted": len(repeated) - len(agreed),
            "numbers_unreadable": misread,
        },
    )


def patient_name(row: Row) -> str:
    """The patient_id of a row, the same in every dataset of these images."""
    return f"cohen-{row.patient}"


def example_ids(file_names) -> dict[str, str]:
    """{file name: name without its ending}; where two then agree, both keep it."""
    stems = collections.Counter(Path(name).stem for name in file_names)
    return {
        name: Path(name).stem if stems[Path(name).stem] == 1 else name
        for name in file_names
    }


def _who(row: Row) -> tuple[str, ...]:
    """In what two rows of one file must agree."""
    return row.patient, row.finding, row.view, row.modality, row.folder


def _row(cells: dict[str, str]) -> Row:
    return Row(
        file_name=cells["filename"],
        patient=cells["patientid"],
        finding=path_of(cells["finding"]),
        view=_view(cells["view"]),
        modality=cells["modality"],
        folder=cells["folder"],
        sex=_known(cells.get("sex", "")).upper(),
        age=_number(cells.get("age", "")),
        offset=_number(cells.get("offset", "")),
        location=cells.get("location", ""),
        source=_host(cells["url"]),
        license=cells.get("license", ""),
        answers=tuple(_known(cells.get(name.lower(), "")) for name in ANSWERS),
    )


def _known(text: str) -> str:
    return "" if text == "?" else text


def _view(text: str) -> str:
    return _AS_WRITTEN.get(text.lower(), _known(text))


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _host(url: str) -> str:
    """`radiopaedia.org` of `https://www.radiopaedia.org/cases/1`; '' of no url."""
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname
    except ValueError:
        return ""
    return (host or "").removeprefix("www.")
