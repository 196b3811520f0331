"""How the pixel cells of a DICOM image are laid out (PS3.3, C.7.6.3)."""

from typing import NamedTuple

import numpy as np

from tfds_builders.common import limits
from tfds_builders.common.dicom.attributes import code, has, integer
from tfds_builders.common.errors import InputError

_AGAIN = "Copy the file from its source again."
_EXPORT = "The header is wrong: export the file again."
_NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
OVERLAYS = range(0x6000, 0x6100, 2)  # groups
_POSITION, _DATA = 0x0102, 0x3000


class Layout(NamedTuple):
    """Size of one grey image, and which bits of a cell are its value."""

    rows: int
    columns: int
    allocated: int  # bits of a cell: 8 or 16
    stored: int  # bits of a value
    high: int  # its highest bit, counted from 0
    signed: bool
    overlays: int  # bits of a cell that the header gives to overlays
    photometric: str  # MONOCHROME1 or MONOCHROME2

    @property
    def width(self) -> int:
        """Bytes of a cell."""
        return self.allocated // 8

    @property
    def lowest(self) -> int:
        """The least value that the bits can hold."""
        return -(1 << (self.stored - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest value that the bits can hold."""
        return self.lowest + (1 << self.stored) - 1

    def values(self) -> np.ndarray:
        """The value of every cell [2**allocated], by its own bits alone."""
        cells = np.arange(1 << self.allocated)
        codes = (cells >> (self.high + 1 - self.stored)) & ((1 << self.stored) - 1)
        return as_signed(codes, self.stored) if self.signed else codes

    def beyond(self) -> np.ndarray:
        """Cells [2**allocated] whose higher bits hold more than the value's sign."""
        cells = np.arange(1 << self.allocated)
        above = ~((1 << (self.high + 1)) - 1) & ((1 << self.allocated) - 1)
        above &= ~self.overlays
        sign = np.where(cells >> self.high & 1, above, 0) if self.signed else 0
        found = cells & above
        return (found != 0) & (found != sign)


def as_signed(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes in two's complement as numbers."""
    return np.where(codes >> (bits - 1), codes - (1 << bits), codes)


def layout_of(path, header) -> Layout:
    """The layout that a header describes.

    Errors: InputError where it is not one grey image, too large, or contradicts itself.
    """
    for other in ("FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL"):
        if other in header:
            raise InputError(
                path,
                f"its pixels are in {other}, which is not supported",
                "Export it with whole numbers of 8 or 16 bits, in PixelData.",
            )
    if "PixelData" not in header:
        raise InputError(
            path,
            "no pixel data: the file is truncated, or it is a DICOM without an image "
            f"({code(header, 'Modality') or 'modality unknown'})",
            _AGAIN,
        )
    missing = [name for name in _NEEDED if not has(header, name)]
    if missing:
        raise InputError(path, f"the header lacks {', '.join(missing)}", _AGAIN)
    if not header.get_item("PixelData").value:
        raise InputError(path, "its pixel data are empty", _AGAIN)
    photometric = code(header, "PhotometricInterpretation")
    samples = integer(path, header, "SamplesPerPixel", default=1)
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise InputError(
            path,
            f"not a grey radiograph: {samples} samples per pixel, "
            f"photometric interpretation {photometric or 'not given'}",
            "Remove the file (secondary captures and scanned reports are colour), or "
            "export it as MONOCHROME2.",
        )
    frames = integer(path, header, "NumberOfFrames", default=1)
    if frames != 1:
        raise InputError(
            path,
            f"{frames} frames",
            "A radiograph has one frame: remove the file, or export one frame.",
        )
    return _layout(path, header, photometric)


def _layout(path, header, photometric: str) -> Layout:
    rows, columns, allocated, stored, sign = (
        integer(path, header, name) for name in _NEEDED
    )
    high = integer(path, header, "HighBit", default=stored - 1)
    if rows < 1 or columns < 1:
        raise InputError(path, f"{rows} x {columns} pixels", _AGAIN)
    limits.check_pixels(path, rows, columns)
    if allocated not in (8, 16) or not 1 <= stored <= high + 1 <= allocated:
        raise InputError(
            path,
            f"{stored} bits stored up to bit {high} in {allocated} allocated",
            "Only 8 and 16 bits allocated are supported: export the file again.",
        )
    if sign not in (0, 1):
        raise InputError(path, f"PixelRepresentation is {sign}, not 0 or 1", _EXPORT)
    overlays = _overlays(path, header)
    return Layout(
        *(rows, columns, allocated, stored, high, sign == 1, overlays, photometric)
    )


def _overlays(path, header) -> int:
    """Bits of a cell in which the header says that overlays are (retired)."""
    bits = 0
    for group in OVERLAYS:
        if (group, _POSITION) in header and (group, _DATA) not in header:
            position = header[group, _POSITION].value
            if isinstance(position, int) and 0 < position < 16:
                bits |= 1 << position
    return bits
