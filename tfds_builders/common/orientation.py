"""The eight ways in which a picture can lie, numbered as EXIF does (CIPA DC-008)."""

import struct

import numpy as np

UPRIGHT = 1
_ORIENTATION, _SHORT = 0x0112, 3  # tag and type
# What makes a picture of each orientation upright.
_TURNS = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels [H, W, ...] or [W, H, ...] as they are meant to be seen."""
    return np.ascontiguousarray(_TURNS[orientation](pixels))


def of_tiff(data: bytes) -> int:
    """The orientation in the TIFF structure of an EXIF block; 1 if it holds none.

    A value that does not exist, or a block that is cut, says nothing.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return UPRIGHT
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    if at + 2 > len(data):
        return UPRIGHT
    (count,) = struct.unpack_from(f"{order}H", data, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, number, value = struct.unpack_from(f"{order}HHIH", data, entry)
        if (tag, kind, number) == (_ORIENTATION, _SHORT, 1) and value in _TURNS:
            return value
    return UPRIGHT
