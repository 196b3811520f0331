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

from tfds_builders.common.dicom import window
from tfds_builders.common.dicom.attributes import number
from tfds_builders.common.dicom.layout import Layout, as_signed
from tfds_builders.common.dicom.lut import read_lut
from tfds_builders.common.errors import InputError

_EXPORT = "Correct them in the header, or export the file again."
_LAST = 65535


class Display(NamedTuple):
    """What each code of a pixel cell looks like.

    table: uint16 [2**BitsAllocated], dense structures bright (MONOCHROME2 sense).
    padding: bool [2**BitsAllocated]: the codes of padding pixels, 0 in the table.
    """

    table: np.ndarray
    padding: np.ndarray


def display_of(path, header, layout: Layout) -> Display:
    """The table of a header.

    Errors: InputError for a LUT, rescaling or window that cannot be applied.
    """
    values = layout.values()
    padding = _padding(path, header, values, layout.signed)
    ends = np.array([layout.lowest, layout.highest], np.float64)
    values, (low, top) = _modality(path, header, values.astype(np.float64), ends)
    unit = window.shown(path, header, values, low, top)
    if unit is None:
        unit = (values - low) / (top - low)
    if layout.photometric == "MONOCHROME1":
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


def _padding(path, header, values, signed: bool) -> np.ndarray:
    """Which stored values are padding (PS3.3 C.7.5.1.1.2)."""
    value = number(path, header, "PixelPaddingValue")
    if value is None:
        return np.zeros(len(values), bool)
    limit = number(path, header, "PixelPaddingRangeLimit")
    limit = value if limit is None else limit
    # Writers confuse US and SS; the 16 bits are the same.
    ends = [int(x) & 0xFFFF for x in (value, limit)]
    ends = sorted(x - (x >> 15 << 16) if signed else x for x in ends)
    padding = (values >= ends[0]) & (values <= ends[1])
    # A value that the stored bits cannot hold refers to the whole cell.
    if ends[0] < values.min() or ends[1] > values.max():
        cells = np.arange(len(values))
        cells = as_signed(cells, len(values).bit_length() - 1) if signed else cells
        padding |= (cells >= ends[0]) & (cells <= ends[1])
    if padding.all():
        raise InputError(
            path,
            f"every pixel value is padding (PixelPaddingValue {value:g}, "
            f"PixelPaddingRangeLimit {limit:g})",
            "Remove these two from the header, or export the file again.",
        )
    return padding


def _modality(path, header, values, ends):
    """Values after the modality LUT, and the range that it can reach."""
    lut = read_lut(path, header, "ModalityLUTSequence", *ends)
    if lut is not None:
        return lut(values), (0.0, lut.full)
    slope = number(path, header, "RescaleSlope")
    intercept = number(path, header, "RescaleIntercept")
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    with np.errstate(all="ignore"):
        rescaled, reached = values * slope + intercept, ends * slope + intercept
        # Numbers too large or too small for each other leave no difference.
        steps = np.diff(np.arange(ends[0], ends[1] + 1) * slope + intercept)
        lost = not (np.abs(steps - slope) <= 0.01 * abs(slope)).all()
    if slope == 0 or lost or not np.isfinite(reached).all():
        raise InputError(
            path, f"rescale slope {slope:g} and intercept {intercept:g}", _EXPORT
        )
    # A negative slope inverts the image, so the ends are sorted again.
    return rescaled, np.sort(reached)
