"""The table of patients of COVIDx CT, and the patient of a slice by its file name."""

import math
import re
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.tables import read_csv, refuse

_COLUMNS = (
    "patient id",
    "source",
    "country",
    "sex",
    "age",
    "finding",
    "verified finding",
    "slice selection",
    "view",
    "modality",
)
# How CNCB and COVID-CTSet name a patient within a file name.
_NAMED = re.compile(r"(?:^|[-_])((?:NCP|CP|Normal)_\d+|patient\d+)(?=[-_]|$)")


class Patient(NamedTuple):
    """What the table says about a patient; '' and NaN if unknown."""

    source: str = ""
    country: str = ""
    sex: str = ""
    age: float = math.nan  # years
    finding: str = ""
    verified_finding: str = ""
    slice_selection: str = ""
    view: str = ""
    modality: str = ""


def read_metadata(path: Path) -> tuple[dict[str, Patient], dict[str, int]]:
    """Patient by id, and counts.

    Errors: InputError for a table without these columns and for rows without an id.
    """
    rows = read_csv(path, _COLUMNS)
    refuse(
        path,
        (f"row {k}" for k, row in enumerate(rows, start=1) if not row["patient id"]),
        "rows have no patient id",
        "Copy the table from the release again.",
    )
    patients: dict[str, Patient] = {}
    again = unclear = 0
    for row in rows:
        age = _age(row["age"])
        unclear += bool(row["age"]) and math.isnan(age)
        again += row["patient id"] in patients
        patient = Patient(
            row["source"],
            row["country"],
            row["sex"].upper() if row["sex"].upper() in ("M", "F") else "",
            age,
            row["finding"],
            row["verified finding"],
            row["slice selection"],
            row["view"],
            row["modality"],
        )
        patients.setdefault(row["patient id"], patient)
    return patients, {
        "patient_rows_repeated": again,
        "numbers_unreadable": unclear,
    }


def find_patient(stem: str, known: Container[str]) -> str | None:
    """The known patient id that a file name holds between '-', '_' and its ends.

    'NCP_341_1834_0022' begins with it, '137covid_patient59_SR_3_IM00027' has it further
    on. The leftmost wins, and of those the longest. A number by itself is a patient
    only at the beginning: further on it may be that of the scan or the slice.
    """
    words = re.split(r"([-_])", stem)  # separators at the odd places
    for start in range(0, len(words), 2):
        for end in range(len(words), start, -2):
            name = "".join(words[start:end])
            if name in known and (start == 0 or not name.isdecimal()):
                return name
    return None


def guess_patient(stem: str) -> str:
    """The patient of a slice that is not in the table, from the form of its name.

    CNCB's and COVID-CTSet's names hold the patient; of others the scan is taken for
    one: the name up to the number of the slice.
    """
    match = _NAMED.search(stem)
    return match[1] if match else re.sub(r"[-_][^-_]*$", "", stem)


def _age(text: str) -> float:
    try:
        age = float(text)
    except ValueError:
        return math.nan
    return age if 0 <= age < 130 else math.nan
