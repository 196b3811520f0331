"""What a result takes from its film: patient, study, date, and how the film lies."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pydicom.valuerep import PersonName

from tfds_builders.common import orientation
from tfds_builders.common.dicom import sides
from tfds_builders.common.dicom.attributes import code, codes, raw_texts, text
from tfds_builders.common.errors import InputError

_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# Who the patient is and which study it is: as they are, whatever they are, since the
# archive has them so. Those of type 2 are there even if empty (PS3.3, C.7.1.1, C.7.2.1).
_ALWAYS = ("PatientName", "PatientID", "StudyID", "AccessionNumber")
_ALWAYS += ("ReferringPhysicianName",)
_IF_THERE = ("IssuerOfPatientID", "StudyDescription")
# Of a fixed form: what has another is left out, and no validator stumbles over it.
_DATE = re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?")
_FORMED = {
    "StudyDate": _DATE,
    "StudyTime": _TIME,
    "PatientBirthDate": _DATE,
    "PatientSex": re.compile("[MFO]"),
}
_FORMED_IF_THERE = {
    "PatientAge": re.compile(r"\d{3}[DWMY]"),
    "TimezoneOffsetFromUTC": re.compile(r"[+-]\d{4}"),
}
_MOMENTS = ("Content", "Acquisition", "Series", "Study")
_UNDATED = ("19000101", "000000")
_LOSSY = {
    "LossyImageCompressionRatio": re.compile(r"\d{1,12}(\.\d{1,3})?"),
    "LossyImageCompressionMethod": re.compile(r"[A-Z0-9_ ]{1,16}"),
}


class Origin(NamedTuple):
    """Attributes:
    header: the attributes of patient and study, for each of the results.
    sop_class, sop, study, series: UIDs of the film.
    date, time: of the film, 'YYYYMMDD' and 'HHMMSS'.
    orientation: PatientOrientation of the film as it is read, that is upright: ('L',
      'F') as a rule; () if the header does not say.
    burned_in: 'NO' where the header says that nothing on the film names the patient,
      else 'YES'.
    lossy: the header's elements on lossy compression, {name: value}.
    """

    header: Dataset
    sop_class: UID
    sop: UID
    study: UID
    series: UID
    date: str
    time: str
    orientation: tuple[str, ...]
    burned_in: str
    lossy: dict[str, list[str]]


def origin(film: Dataset) -> Origin:
    """Of the header of a film.

    Raises:
      InputError: it lacks a UID, without which nothing can refer to it.
    """
    with disable_value_validation():  # pydicom's warnings quote values: names
        found = {name: text(film, name) for name in _UIDS}
        for name, value in found.items():
            if not UID(value).is_valid or not value:
                raise InputError(
                    "the film",
                    f"has no valid {name}",
                    "results cannot refer to it: export it again, with its UIDs",
                )
        date, time = _moment(film)
        return Origin(
            header=_header(film),
            sop_class=UID(found["SOPClassUID"]),
            sop=UID(found["SOPInstanceUID"]),
            study=UID(found["StudyInstanceUID"]),
            series=UID(found["SeriesInstanceUID"]),
            date=date,
            time=time,
            orientation=_orientation(film),
            burned_in="NO" if text(film, "BurnedInAnnotation") == "NO" else "YES",
            lossy=_lossy(film),
        )


def _header(film: Dataset) -> Dataset:
    made = Dataset()
    # Whatever the film is written in: UTF-8 holds it, and our own texts as well.
    made.SpecificCharacterSet = "ISO_IR 192"
    made.StudyInstanceUID = text(film, "StudyInstanceUID")
    for name in _ALWAYS:
        setattr(made, name, _kept(film, name))
    for name in _IF_THERE:
        if value := _kept(film, name):
            setattr(made, name, value)
    for name, form in _FORMED.items():
        setattr(made, name, _formed(film, name, form))
    for name, form in _FORMED_IF_THERE.items():
        if value := _formed(film, name, form):
            setattr(made, name, value)
    return made


def _kept(film: Dataset, name: str) -> str:
    """Its value or values, without control characters (none are allowed: PS3.5, 6.1.3).

    '' for what is no text, or cannot be read: header and pixels are another matter.
    """
    try:
        value = film.get(name)
    except Exception:  # noqa: BLE001  # whatever pydicom meets in a damaged element
        return ""
    several = value if isinstance(value, MultiValue) else [value]
    if not all(isinstance(each, str | PersonName) for each in several):
        return ""
    whole = "\\".join(map(str, several)).strip()
    return "".join(each for each in whole if unicodedata.category(each) != "Cc")


def _formed(film: Dataset, name: str, form: re.Pattern[str]) -> str:
    value = _kept(film, name)
    return value if form.fullmatch(value) else ""


def _moment(film: Dataset) -> tuple[str, str]:
    """When the film was taken, as far as its header says."""
    for kind in _MOMENTS:
        date = _formed(film, f"{kind}Date", _DATE)
        if date:
            time = _formed(film, f"{kind}Time", _TIME)
            whole = time.partition(".")[0]
            return date, whole.ljust(6, "0")
    return _UNDATED


def _orientation(film: Dataset) -> tuple[str, ...]:
    if sides.orientation_of("the film", film) != orientation.UPRIGHT:
        return ("L", "F")
    given = codes(film, "PatientOrientation")
    return given if len(given) == 2 and all(given) else ()


def _lossy(film: Dataset) -> dict[str, list[str]]:
    if code(film, "LossyImageCompression") != "01":
        return {}
    kept = {"LossyImageCompression": ["01"]}
    for name, form in _LOSSY.items():
        values = raw_texts(film, name)
        if values and all(map(form.fullmatch, values)):
            kept[name] = values
    return kept
