"""From stored values to display values: one table for all that a pixel can hold.

The stored value of a pixel passes the modality LUT, the VOI LUT or window where
there is one, and then the inversion of MONOCHROME1, in this order (DICOM PS3.3
C.11.1, C.11.2, C.7.6.3.1.2). Each of these is a function of one stored value, so
the whole chain is a table, computed once per file in float64, and applied to the
pixels by look-up. The range of the result is that of the header, never that of the
picture, so equal values stay equal between pictures.

Padding pixels are not part of the image and skip this chain (C.7.5.1.1.2): they are
dark like air, whatever the window and the polarity.
"""

from typing import NamedTuple

import numpy as np
import pydicom

from tfds_builders.common.dicom.attributes import code
from tfds_builders.common.errors import InputError

_AGAIN = "Copy the file from its source again."
_LAST = 65535


class Display(NamedTuple):
    """What each code of a pixel cell looks like.

    table: uint16 [2**BitsAllocated], dense structures bright (MONOCHROME2 sense).
    padding: bool [2**BitsAllocated]: the codes of padding pixels, 0 in the table.
    """

    table: np.ndarray
    padding: np.ndarray


def display_of(path, header) -> Display:
    """The table of a header.

    Errors: InputError for a LUT, rescaling or window that cannot be applied.
    """
    bits = int(header.BitsStored)
    cells = np.arange(1 << int(header.BitsAllocated))
    # Bits outside the stored ones may hold overlays or garbage.
    high = int(header.get("HighBit", bits - 1))
    codes = (cells >> (high + 1 - bits)) & ((1 << bits) - 1)
    signed = int(header.PixelRepresentation) == 1
    values = _signed(codes, bits) if signed else codes
    padding = _padding(path, header, values, signed)
    lowest = -(1 << (bits - 1)) if signed else 0
    ends = np.array([lowest, lowest + (1 << bits) - 1], np.float64)
    values, (low, top) = _modality(path, header, values.astype(np.float64), ends)
    unit = _voi(path, header, values)
    if unit is None:
        unit = (values - low) / (top - low)
    if code(header, "PhotometricInterpretation") == "MONOCHROME1":
        unit = 1 - unit
    table = np.rint(np.clip(unit, 0, 1) * _LAST).astype(np.uint16)
    table[padding] = 0
    return Display(table, padding)


def inverted(display: Display) -> Display:
    """The negative; padding stays dark."""
    table = _LAST - display.table
    table[display.padding] = 0
    return display._replace(table=table)


def look_up(table: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """table[codes] for codes [rows, columns], uint8 or uint16."""
    # A band at a time: NumPy makes its indices 64 bits wide, and four copies of a
    # 6 megapixel image are slower to move than to compute.
    out = np.empty(codes.shape, np.uint16)
    for top in range(0, len(codes), 64):
        np.take(table, codes[top : top + 64], out=out[top : top + 64], mode="clip")
    return out


def _signed(codes: np.ndarray, bits: int) -> np.ndarray:
    return np.where(codes >> (bits - 1), codes - (1 << bits), codes)


def _padding(path, header, values, signed: bool) -> np.ndarray:
    """Which stored values are padding (PS3.3 C.7.5.1.1.2)."""
    value = header.get("PixelPaddingValue")
    if value is None or value == "":
        return np.zeros(len(values), bool)
    limit = header.get("PixelPaddingRangeLimit")
    limit = value if limit is None or limit == "" else limit
    # Writers confuse US and SS; the 16 bits are the same.
    ends = [int(x) & 0xFFFF for x in (value, limit)]
    ends = sorted(x - (x >> 15 << 16) if signed else x for x in ends)
    padding = (values >= ends[0]) & (values <= ends[1])
    # A value that the stored bits cannot hold refers to the whole cell.
    if ends[0] < values.min() or ends[1] > values.max():
        cells = np.arange(len(values))
        cells = _signed(cells, len(values).bit_length() - 1) if signed else cells
        padding |= (cells >= ends[0]) & (cells <= ends[1])
    if padding.all():
        raise InputError(
            path,
            f"every pixel value is padding (PixelPaddingValue {value}, "
            f"PixelPaddingRangeLimit {limit})",
            "Remove these two from the header, or export the file again.",
        )
    return padding


def _modality(path, header, values, ends):
    """Values after the modality LUT, and the range that it can reach."""
    if header.get("ModalityLUTSequence"):
        output, bits = _apply_lut(path, header, "ModalityLUTSequence", values)
        return output, (0.0, float((1 << bits) - 1))
    slope = header.get("RescaleSlope")
    intercept = header.get("RescaleIntercept")
    slope = 1.0 if slope is None else float(slope)
    intercept = 0.0 if intercept is None else float(intercept)
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise InputError(path, f"rescale slope {slope}", _AGAIN)
    # A negative slope inverts the image, so the ends are sorted again.
    return values * slope + intercept, np.sort(ends * slope + intercept)


def _voi(path, header, values) -> np.ndarray | None:
    """Display values 0..1 from the VOI LUT or else the first window; None if none.

    Source: PS3.3 C.11.2.1 (the functions LINEAR, LINEAR_EXACT and SIGMOID).
    """
    if header.get("VOILUTSequence"):
        output, bits = _apply_lut(path, header, "VOILUTSequence", values)
        return output / ((1 << bits) - 1)
    centre, width = _first(header, "WindowCenter"), _first(header, "WindowWidth")
    if centre is None or width is None:
        return None
    function = code(header, "VOILUTFunction") or "LINEAR"
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
        "Use LINEAR, LINEAR_EXACT or SIGMOID: export the file again.",
    )


def _apply_lut(path, header, name, values):
    """Values through the first LUT of a sequence (PS3.3 C.11.1.1), and its bits."""
    item = header[name][0]
    count, start, bits = (int(x) for x in item.LUTDescriptor)
    count = count or 1 << 16
    if start > 32767 and values.min() < 0:
        start -= 1 << 16  # the first value is signed where the pixels are
    data = item.LUTData
    if isinstance(data, bytes):  # words, in the byte order of the file
        little = header.original_encoding[1]
        words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little else ">u2")
        packed = len(words) < count  # two entries of 8 bits in each
        data = words.astype("<u2").view(np.uint8) if packed else words
    data = np.atleast_1d(np.asarray(data))[:count]
    if len(data) != count or not 1 <= bits <= 16:
        raise InputError(
            path,
            f"{name}: {len(data)} entries of {bits} bits, expected {count}",
            _AGAIN,
        )
    index = np.clip(np.rint(values - start), 0, count - 1).astype(np.int64)
    return data[index].astype(np.float64), bits


def _first(header, name) -> float | None:
    value = header.get(name)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else None
    return None if value in (None, "") else float(value)
