"""DICOM radiographs in one convention: uint16, full range, air dark.

docs/dicom.md explains every step.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydicom.config import disable_value_validation

from tfds_builders.common.dicom import sides, window
from tfds_builders.common.dicom.attributes import code, text
from tfds_builders.common.dicom.complaints import collected
from tfds_builders.common.dicom.display import Display, display_of, inverted, look_up
from tfds_builders.common.dicom.file import open_dicom
from tfds_builders.common.dicom.functional_groups import apply_groups
from tfds_builders.common.dicom.identifiers import identifiers
from tfds_builders.common.dicom.layout import Layout, as_signed, layout_of
from tfds_builders.common.dicom.pixels import read_cells
from tfds_builders.common.dicom.polarity import contradicts
from tfds_builders.common.errors import InputError
from tfds_builders.common.film_checks import check_film
from tfds_builders.common.limits import Held
from tfds_builders.common.orientation import upright

# Which is obeyed where they contradict each other, and the count of such files.
_CONTRADICTED = {
    "header": "dicom_polarity_contradicted",
    "pixels": "dicom_polarity_corrected",
}
POLARITIES = tuple(_CONTRADICTED)

_WHITE = 65535
_SAMPLE = 512  # pixels of the longer side are enough to detect the polarity
# A window that shows so many values as so few greys leaves no picture.
_MANY_VALUES, _FEW_GREYS = 16, 3
_AGAIN = "Copy the file from its source again."


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
    notes: tuple[str, ...] = ()  # keys of counts.COUNTS: what was contradictory or done


def read_dicom(path: Path | Held, polarity: str = "header") -> Xray:
    """Read one single-frame grey radiograph.

    Args:
      polarity: which end of the grey scale is air: that of the 'header', or of the
        'pixels' if those of a chest film clearly contradict it.

    Errors: InputError if the file is not DICOM, truncated, without pixel data, in
    colour, multi-frame, too large, compressed in a way that no installed decoder
    reads, or if header and pixels contradict each other. OSError as of `open`.
    """
    if polarity not in POLARITIES:
        known = " or ".join(POLARITIES)
        raise InputError("--polarity", f"unknown value {polarity!r}", f"Use {known}.")
    try:
        return _read(path, polarity)
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:  # pydicom reads lazily: a bad header fails anywhere
        raise InputError(
            path,
            f"a truncated or damaged DICOM file ({type(error).__name__})",
            _AGAIN,
        ) from error


class Radiograph(NamedTuple):
    """An Xray, and notes and warnings about it, which are keys of `counts.COUNTS`."""

    xray: Xray
    notes: tuple[str, ...]


def read_radiograph(path: Path | Held, polarity: str) -> Radiograph:
    """`read_dicom`, with notes about what was found, and about whom it names.

    No identifier is in a note, only the name of the attribute that holds one.
    """
    xray = read_dicom(path, polarity=polarity)
    notes = [*xray.notes, *check_film(path, xray.pixels)]
    notes += [f"dicom_names_person:{attribute}" for attribute in xray.identifiers]
    if xray.polarity_contradicted:
        notes.append(_CONTRADICTED[polarity])
    return Radiograph(xray, tuple(notes))


def _read(path, polarity: str) -> Xray:
    with collected() as complaints:
        header = open_dicom(path)
        grouped = apply_groups(header)
        layout = layout_of(path, header)
        display = display_of(path, header, layout)
        turned = sides.orientation_of(path, header)
        notes = (*window.notes(header), *sides.notes(path, header))
        about = _about(header)
    if grouped:
        notes += ("dicom_functional_groups",)
    cells = read_cells(path, header, layout)
    notes += _notes_on_values(path, layout, display, cells.codes)
    if _sign_contradicted(layout, cells.codes):
        notes += ("dicom_sign_doubtful",)
    contradicted = contradicts(_film(display, cells.codes))
    if contradicted and polarity == "pixels":
        display = inverted(display)
    pixels = look_up(display.table, cells.codes)
    _check_contrast(path, display, cells.codes, pixels)
    return Xray(
        pixels=upright(pixels, turned),
        rows=layout.rows,
        columns=layout.columns,
        bits_stored=layout.stored,
        photometric_interpretation=layout.photometric,
        polarity_contradicted=contradicted,
        **about,
        notes=(*notes, *cells.notes, *complaints),
    )


def _about(header) -> dict[str, Any]:
    # pydicom's warnings quote values, which may be names.
    with disable_value_validation():
        return {
            "manufacturer": text(header, "Manufacturer"),
            "modality": code(header, "Modality"),
            "view": code(header, "ViewPosition"),
            "sex": code(header, "PatientSex"),
            "patient_id": text(header, "PatientID"),
            "study_id": text(header, "StudyInstanceUID"),
            "identifiers": identifiers(header),
        }


def _notes_on_values(path, layout: Layout, display: Display, codes) -> tuple[str, ...]:
    """Keys about bits above those of the values, which no attribute explains.

    Rubbish or an overlay in them makes no picture smoother, and is left out. The bits
    of larger values do.

    Errors: InputError for values that BitsStored cannot hold: without their higher
    bits they would be others, 4096 would be 0.
    """
    if layout.high + 1 == layout.allocated or codes.itemsize < layout.width:
        return ()
    if not np.bitwise_or.reduce(codes, axis=None) >> (layout.high + 1):
        return ()
    present = np.zeros(1 << layout.allocated, bool)
    present[codes] = True
    found = np.flatnonzero(present & layout.beyond() & ~display.padding)
    if not len(found):
        return ()
    whole = codes.astype(np.int32)
    whole = as_signed(whole, layout.allocated) if layout.signed else whole
    if _roughness(whole) >= _roughness(layout.values()[codes]):
        return ("dicom_bits_left_out",)
    raise InputError(
        path,
        f"values up to {found[-1]} in cells of {layout.allocated} bits, but the "
        f"header says {layout.stored} bits up to bit {layout.high}",
        "BitsStored or HighBit is wrong: export the file again.",
    )


def _roughness(values: np.ndarray) -> float:
    """How far neighbours differ, in all."""
    return sum(float(np.abs(np.diff(values, axis=axis)).sum()) for axis in (0, 1))


def _sign_contradicted(layout: Layout, codes: np.ndarray) -> bool:
    """Whether the picture is far smoother with the other PixelRepresentation.

    Values that wrap at the sign leave steps of the whole range. Black beside white that
    are saturated has such steps too, and is left out.
    """
    if not layout.high + 1 <= 8 * codes.itemsize:
        return False
    rows = codes[:: max(1, len(codes) // _SAMPLE)]
    both = layout, layout._replace(signed=not layout.signed)
    ends, steps = np.zeros(rows.shape, bool), []
    for each in both:
        values = each.values()[rows]
        ends |= (values == each.lowest) | (values == each.highest)
        steps.append(np.abs(np.diff(values)))
    pairs = ~(ends[:, 1:] & ends[:, :-1])
    here, there = (float(step[pairs].sum()) for step in steps)
    return here > 2 * there


def _check_contrast(path, display: Display, codes: np.ndarray, pixels) -> None:
    """Raise InputError where the header shows different values as a few greys."""
    present = np.zeros(len(display.table), bool)
    present[codes] = True
    present &= ~display.padding
    values, greys = int(present.sum()), len(np.unique(display.table[present]))
    if greys == 1 < values or greys <= _FEW_GREYS < _MANY_VALUES <= values:
        seen = f"all as {pixels.flat[0]}" if greys == 1 else f"as {greys} greys"
        raise InputError(
            path,
            f"it has {values:,} different values, but the window, look-up table or "
            f"rescaling in its header shows them {seen} of {_WHITE}",
            "Remove WindowCenter and WindowWidth (or the LUT) from the header, or "
            "export the file again.",
        )


def _film(display: Display, codes: np.ndarray) -> np.ndarray:
    """Subsampled display values [h, w], with padding set to their median."""
    step = -(-max(codes.shape) // _SAMPLE)
    codes = codes[::step, ::step]
    film, padding = display.table[codes], display.padding[codes]
    if padding.any() and not padding.all():
        film[padding] = np.median(film[~padding])
    return film
