"""DICOM radiographs in one convention: uint16, full range, air dark.

docs/dicom.md explains every step.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.config import disable_value_validation

from tfds_builders.common.dicom.attributes import code, text
from tfds_builders.common.dicom.display import Display, display_of, inverted, look_up
from tfds_builders.common.dicom.file import open_dicom
from tfds_builders.common.dicom.identifiers import identifiers
from tfds_builders.common.dicom.pixels import stored_values
from tfds_builders.common.dicom.polarity import contradicts
from tfds_builders.common.errors import InputError

# Which is obeyed where they contradict each other, and the count of such files.
_CONTRADICTED = {
    "header": "dicom_polarity_contradicted",
    "pixels": "dicom_polarity_corrected",
}
POLARITIES = tuple(_CONTRADICTED)

_SAMPLE = 512  # pixels of the longer side are enough to detect the polarity
_AGAIN = "Copy the file from its source again."
_NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")


class Xray(NamedTuple):
    """One radiograph and what its header says ('' if absent)."""

    pixels: np.ndarray  # uint16 [rows, columns], MONOCHROME2 sense, 0..65535
    rows: int
    columns: int
    bits_stored: int
    photometric_interpretation: str  # as stored, before any inversion
    polarity_contradicted: bool  # the pixels are clearly those of the other polarity
    manufacturer: str
    modality: str
    view: str  # PA, AP, ...
    sex: str
    patient_id: str  # as stored: see identifiers.pseudonym
    study_id: str
    identifiers: tuple[str, ...]  # attributes that may name a person, not their values


def read_dicom(path: Path, polarity: str = "header") -> Xray:
    """Read one single-frame grey radiograph.

    Args:
      polarity: which end of the grey scale is air: that of the 'header', or of the
        'pixels' if those of a chest film clearly contradict it.

    Errors: InputError if the file is not DICOM, truncated, without pixel data, in
    colour, multi-frame, or compressed in a way that no installed decoder reads.
    """
    if polarity not in POLARITIES:
        known = " or ".join(POLARITIES)
        raise InputError("--polarity", f"unknown value {polarity!r}", f"Use {known}.")
    try:
        # pydicom's warnings quote values, which may be names.
        with disable_value_validation():
            return _read(path, polarity)
    except (InputError, FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # pydicom reads lazily: a bad header fails anywhere
        raise InputError(
            path,
            f"a truncated or damaged DICOM file ({type(error).__name__})",
            _AGAIN,
        ) from error


class Radiograph(NamedTuple):
    """An Xray, and the warnings about it, which are keys of `counts.COUNTS`."""

    xray: Xray
    warnings: tuple[str, ...]


def read_radiograph(path: Path, polarity: str) -> Radiograph:
    """`read_dicom`, with warnings about its polarity and about whom it names.

    No identifier is in a warning, only the name of the attribute that holds one.
    """
    xray = read_dicom(path, polarity=polarity)
    warnings = [f"dicom_names_person:{attribute}" for attribute in xray.identifiers]
    if xray.polarity_contradicted:
        warnings.append(_CONTRADICTED[polarity])
    return Radiograph(xray, tuple(warnings))


def _read(path, polarity: str) -> Xray:
    header = open_dicom(path)
    _check_header(path, header)
    display = display_of(path, header)
    codes = stored_values(path, header)
    contradicted = contradicts(_film(display, codes))
    if contradicted and polarity == "pixels":
        display = inverted(display)
    return Xray(
        pixels=look_up(display.table, codes),
        rows=int(header.Rows),
        columns=int(header.Columns),
        bits_stored=int(header.BitsStored),
        photometric_interpretation=code(header, "PhotometricInterpretation"),
        polarity_contradicted=contradicted,
        manufacturer=text(header, "Manufacturer"),
        modality=code(header, "Modality"),
        view=code(header, "ViewPosition"),
        sex=code(header, "PatientSex"),
        patient_id=text(header, "PatientID"),
        study_id=text(header, "StudyInstanceUID"),
        identifiers=identifiers(header),
    )


def _film(display: Display, codes: np.ndarray) -> np.ndarray:
    """Subsampled display values [h, w], with padding set to their median."""
    step = -(-max(codes.shape) // _SAMPLE)
    codes = codes[::step, ::step]
    film, padding = display.table[codes], display.padding[codes]
    if padding.any() and not padding.all():
        film[padding] = np.median(film[~padding])
    return film


def _check_header(path, header) -> None:
    """Raise InputError unless the header describes one grey image."""
    if "PixelData" not in header:
        raise InputError(
            path,
            "no pixel data: the file is truncated, or it is a DICOM without an image "
            f"({code(header, 'Modality') or 'modality unknown'})",
            _AGAIN,
        )
    missing = [name for name in _NEEDED if header.get(name) is None]
    if missing:
        raise InputError(path, f"the header lacks {', '.join(missing)}", _AGAIN)
    photometric = code(header, "PhotometricInterpretation")
    samples = int(header.get("SamplesPerPixel") or 1)
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise InputError(
            path,
            f"not a grey radiograph: {samples} samples per pixel, "
            f"photometric interpretation {photometric or 'not given'}",
            "Remove the file (secondary captures and scanned reports are colour), or "
            "export it as MONOCHROME2.",
        )
    frames = int(header.get("NumberOfFrames") or 1)
    if frames != 1:
        raise InputError(
            path,
            f"{frames} frames",
            "A radiograph has one frame: remove the file, or export one frame.",
        )
    rows, columns = int(header.Rows), int(header.Columns)
    if not rows or not columns:
        raise InputError(path, f"{rows} x {columns} pixels", _AGAIN)
    allocated, stored = int(header.BitsAllocated), int(header.BitsStored)
    high = int(header.get("HighBit", stored - 1))
    if allocated not in (8, 16) or not 1 <= stored <= high + 1 <= allocated:
        raise InputError(
            path,
            f"{stored} bits stored up to bit {high} in {allocated} allocated",
            "Only 8 and 16 bits allocated are supported: export the file again.",
        )
