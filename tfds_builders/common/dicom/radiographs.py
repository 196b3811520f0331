"""Reading one DICOM radiograph for a dataset: its picture, and what is to be told."""

from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.dicom.picture import Xray, read_dicom

_DOUBTFUL = {
    "header": "films whose pixels contradict their polarity tag; the tag was obeyed "
    "(--polarity=pixels obeys the pixels)",
    "pixels": "films whose pixels contradict their polarity tag; the pixels were obeyed",
}


class Radiograph(NamedTuple):
    """An Xray, and the warnings about it, for an `ingest.Example`."""

    xray: Xray
    warnings: tuple[str, ...]


def read_radiograph(path: Path, polarity: str) -> Radiograph:
    """`read_dicom`, with warnings about its polarity and about who it names.

    No identifier is in a warning, only the name of the attribute that holds one.
    """
    xray = read_dicom(path, polarity=polarity)
    warnings = [
        f"headers name a person or may ({attribute}); nothing of it was stored"
        for attribute in xray.identifiers
    ]
    if xray.polarity_contradicted:
        warnings.append(_DOUBTFUL[polarity])
    return Radiograph(xray, tuple(warnings))
