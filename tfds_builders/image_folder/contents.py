"""Format of a file, and the DICOM header, read before any image is decoded.

Nothing that names a person leaves this module; a PatientID only as its pseudonym.
"""

import math
import re
from pathlib import Path
from typing import NamedTuple

import pydicom

from tfds_builders.common.dicom.complaints import collected
from tfds_builders.common.dicom.file import open_header
from tfds_builders.common.dicom.identifiers import identifiers, pseudonym
from tfds_builders.common.errors import InputError
from tfds_builders.common.film import HEAD, format_of
from tfds_builders.common.limits import check_regular

_TAGS = ["PatientID", "PatientAge", "PatientName"]
# Placeholders of anonymisers, which would join unrelated people.
_NOBODY = re.compile(
    r"(no ?name|un ?known|none|null|nil|n/?a|removed|de-?identified|"
    r"anon(ym[a-z]*)?[\W_]*|[\W_0]*)",
    re.IGNORECASE,
)
# Ages of 90 and more identify a person: US 45 CFR 164.514(b)(2)(i)(C).
OLDEST = 90.0
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_SHORT = 3  # shorter names occur in paths by chance


class Contents(NamedTuple):
    """What is known of one file without its pixels."""

    format: str  # png, jpeg, dicom, or '' for what cannot be read
    patient: str = ""  # pseudonym; '' where the header names nobody
    age: float = math.nan  # years, at most OLDEST
    path_names_patient: bool = False  # the path holds the PatientID or PatientName


def read_contents(path: Path, file: str) -> Contents:
    """The format of a file, by its first bytes, and its header where it is DICOM.

    Args:
      file: its path inside the release, which may name the patient.

    Errors: InputError where a DICOM header is damaged.
    """
    check_regular(path)
    with open(path, "rb") as opened:
        head = opened.read(HEAD)
    found = format_of(head, path.suffix)
    if found != "dicom":
        return Contents(found)  # reading what is unknown gives the error
    try:
        with collected():  # reading the pixels counts what pydicom warns of
            header = open_header(path, _TAGS)
            identity, age = _text(header, "PatientID"), _text(header, "PatientAge")
            named = "PatientName" in identifiers(header)
            name = _text(header, "PatientName") if named else ""
    except (InputError, OSError):
        raise
    except Exception as error:  # pydicom reads lazily: a bad header fails anywhere
        raise InputError(
            path,
            f"a damaged DICOM header ({type(error).__name__})",
            "Copy the file from its source again.",
        ) from error
    identity = "" if _NOBODY.fullmatch(identity) else identity
    names = [identity, *re.split(r"[\W_]+", name)]
    return Contents(
        format="dicom",
        patient=pseudonym(identity),
        age=years(age),
        path_names_patient=any(
            len(name) >= _SHORT and name.casefold() in file.casefold() for name in names
        ),
    )


def years(age: str) -> float:
    """Years of a DICOM age string (PS3.5, 6.2: '045Y', '018M', '006W', '011D').

    Ages above 89 are OLDEST; NaN if missing or malformed.
    """
    match = re.fullmatch(r"(\d{1,3})([DWMY])", age.strip().upper())
    if match is None:
        return math.nan
    value = int(match[1]) * _YEARS[match[2]]
    return min(OLDEST, value)


def _text(header: pydicom.Dataset, tag: str) -> str:
    value = header.get(tag)
    return "" if value is None else str(value).strip()
