"""DICOM radiographs in one convention: uint16, full range, air dark.

The stored value of a pixel passes the modality LUT, the VOI LUT or window where
there is one, and then the inversion of MONOCHROME1, in this order (DICOM PS3.3
C.11.1, C.11.2, C.7.6.3.1.2). Each of these is a function of one stored value, so
the whole chain is one table of all the values that a pixel can have: computed once
per file in float64, and applied to the pixels by look-up. The range of the result
is that of the header, never that of the picture, so equal values stay equal
between pictures.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from tfds_builders.common.errors import InputError

_AGAIN = "Copy the file from its source again."
_NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")


class Xray(NamedTuple):
    """One radiograph and what its header knows ('' where it does not say)."""

    pixels: np.ndarray  # uint16 [rows, columns], MONOCHROME2 sense, 0..65535
    rows: int
    columns: int
    bits_stored: int
    photometric_interpretation: str  # as stored, before the inversion
    manufacturer: str
    modality: str
    view: str  # PA, AP, ...
    sex: str
    patient_id: str
    study_id: str


def read_dicom(path: Path) -> Xray:
    """Read one single-frame grey radiograph.

    Errors: InputError where the file is not DICOM, truncated, has no pixel data, is
    colour or multi-frame, or is compressed and no installed decoder reads it.
    """
    try:
        header = pydicom.dcmread(path)
        _check_header(path, header)
        table = _display_table(path, header)
        bits_stored = int(header.BitsStored)
        return Xray(
            pixels=_look_up(table, _stored_values(path, header)),
            rows=int(header.Rows),
            columns=int(header.Columns),
            bits_stored=bits_stored,
            photometric_interpretation=_text(header, "PhotometricInterpretation"),
            manufacturer=_text(header, "Manufacturer"),
            modality=_text(header, "Modality"),
            view=_text(header, "ViewPosition").upper(),
            sex=_text(header, "PatientSex"),
            patient_id=_text(header, "PatientID"),
            study_id=_text(header, "StudyInstanceUID"),
        )
    except (InputError, FileNotFoundError, PermissionError, MemoryError):
        raise
    except InvalidDicomError:
        raise InputError(
            path, f"not a DICOM file ({_beginning(path)})", _AGAIN
        ) from None
    except Exception as error:  # pydicom reads lazily: a bad header fails anywhere
        raise InputError(
            path,
            f"a truncated or damaged DICOM file ({type(error).__name__}: {error})",
            _AGAIN,
        ) from error


def _check_header(path, header) -> None:
    """Raise InputError where the header does not describe one grey picture."""
    if "PixelData" not in header:
        raise InputError(
            path,
            "no pixel data: the file is truncated, or it is a DICOM without a picture "
            f"({_text(header, 'Modality') or 'modality unknown'})",
            _AGAIN,
        )
    missing = [name for name in _NEEDED if header.get(name) is None]
    if missing:
        raise InputError(path, f"the header lacks {', '.join(missing)}", _AGAIN)
    photometric = _text(header, "PhotometricInterpretation")
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
    allocated, stored = int(header.BitsAllocated), int(header.BitsStored)
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        raise InputError(
            path,
            f"{stored} bits stored in {allocated} allocated",
            "Only 8 and 16 bits allocated are read: export the file again.",
        )


def _stored_values(path, header) -> np.ndarray:
    """The pixels as stored, as unsigned codes, in the machine's byte order."""
    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        _check_decoder(path, syntax)
    else:
        # All the bits: pydicom would keep the lowest ones, wherever HighBit is.
        header.BitsStored = header.BitsAllocated
    try:
        pixels = header.pixel_array
    except (ValueError, EOFError) as error:
        raise InputError(
            path, f"the pixel data is truncated or damaged ({error})", _AGAIN
        ) from None
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return pixels.view(f"u{pixels.itemsize}")


def _check_decoder(path, syntax) -> None:
    try:
        available = pydicom.pixels.get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise InputError(
            path,
            f"compressed as {syntax.name} ({syntax}), and no decoder for it is "
            "installed",
            "pip install 'cxr_jax[dicom]' reads JPEG lossless, JPEG-LS and JPEG 2000; "
            "for any other, export the file uncompressed (dcmtk: dcmdjpeg, gdcmconv "
            "--raw).",
        )


def _look_up(table: np.ndarray, codes: np.ndarray) -> np.ndarray:
    # A band at a time: NumPy makes its indices 64 bits wide, and four copies of a
    # 6 megapixel image are slower to move than to compute.
    out = np.empty(codes.shape, np.uint16)
    for top in range(0, len(codes), 64):
        np.take(table, codes[top : top + 64], out=out[top : top + 64], mode="clip")
    return out


def _display_table(path, header) -> np.ndarray:
    """uint16 display value of every code of BitsAllocated bits."""
    bits = int(header.BitsStored)
    codes = np.arange(1 << int(header.BitsAllocated))
    # Bits outside the stored ones may hold overlays or rubbish.
    high = int(header.get("HighBit", bits - 1))
    codes = (codes >> max(high + 1 - bits, 0)) & ((1 << bits) - 1)
    signed = int(header.PixelRepresentation) == 1
    values = np.where(codes >> (bits - 1), codes - (1 << bits), codes)
    values = values if signed else codes
    lowest = -(1 << (bits - 1)) if signed else 0
    ends = np.array([lowest, lowest + (1 << bits) - 1], np.float64)
    values, (low, high) = _modality(path, header, values.astype(np.float64), ends)
    unit = _voi(path, header, values)
    if unit is None:
        unit = (values - low) / (high - low)
    if _text(header, "PhotometricInterpretation") == "MONOCHROME1":
        unit = 1 - unit
    return np.rint(np.clip(unit, 0, 1) * 65535).astype(np.uint16)


def _modality(path, header, values, ends):
    """Values after the modality LUT, and the range that it can reach."""
    if header.get("ModalityLUTSequence"):
        output, bits = _apply_lut(path, header.ModalityLUTSequence[0], values)
        return output, (0.0, float((1 << bits) - 1))
    slope = header.get("RescaleSlope")
    intercept = header.get("RescaleIntercept")
    slope = 1.0 if slope is None else float(slope)
    intercept = 0.0 if intercept is None else float(intercept)
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise InputError(path, f"rescale slope {slope}", _AGAIN)
    # A negative slope turns the picture round, so the ends are sorted again.
    return values * slope + intercept, np.sort(ends * slope + intercept)


def _voi(path, header, values) -> np.ndarray | None:
    """Display values 0..1 from the VOI LUT or else the first window; None if none.

    Source: PS3.3 C.11.2.1 (the functions LINEAR, LINEAR_EXACT and SIGMOID).
    """
    if header.get("VOILUTSequence"):
        output, bits = _apply_lut(path, header.VOILUTSequence[0], values)
        return output / ((1 << bits) - 1)
    centre, width = _first(header, "WindowCenter"), _first(header, "WindowWidth")
    if centre is None or width is None:
        return None
    function = _text(header, "VOILUTFunction") or "LINEAR"
    if width < 1 if function == "LINEAR" else width <= 0:
        raise InputError(
            path,
            f"window width {width} (function {function})",
            "Remove the window from the header, or export the file again.",
        )
    if function == "LINEAR":
        # Width 1 is a step at centre - 0.5; the slope below it is never used.
        slope = 1 / (width - 1) if width > 1 else np.inf
        with np.errstate(invalid="ignore"):
            unit = (values - (centre - 0.5)) * slope + 0.5
        return np.clip(np.nan_to_num(unit, nan=0.0), 0, 1)
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-4 * (values - centre) / width))
    raise InputError(
        path,
        f"VOI LUT function {function}",
        "Only LINEAR, LINEAR_EXACT and SIGMOID exist: export the file again.",
    )


def _apply_lut(path, item, values):
    """Values through a LUT item (PS3.3 C.11.1.1), and the bits of its entries."""
    count, start, bits = (int(x) for x in item.LUTDescriptor)
    count = count or 1 << 16
    if start > 32767 and values.min() < 0:
        start -= 1 << 16  # the first value is signed where the pixels are
    data = item.LUTData
    if isinstance(data, bytes):
        wide = len(data) >= 2 * count
        data = np.frombuffer(data, "<u2" if wide else np.uint8)
    data = np.asarray(data)[:count]
    if len(data) != count or not 1 <= bits <= 16:
        raise InputError(
            path, f"a LUT of {len(data)} entries where {count} are announced", _AGAIN
        )
    index = np.clip(np.rint(values - start), 0, count - 1).astype(np.int64)
    return data[index].astype(np.float64), bits


def _first(header, name) -> float | None:
    value = header.get(name)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else None
    return None if value in (None, "") else float(value)


def _text(header, name) -> str:
    value = header.get(name)
    return "" if value is None else str(value).strip()


def _beginning(path) -> str:
    with open(path, "rb") as file:
        start = file.read(16)
    return f"it begins with {start!r}" if start else "it is empty"
