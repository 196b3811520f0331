"""TIFF files made byte by byte, as no library writes them."""

import struct

import numpy as np


def tiff(
    pixels: np.ndarray,
    photometric: int = 1,
    order: str = "<",
    following: int = 0,
    **tags: int,
) -> bytes:
    """A TIFF of one uncompressed strip.

    pixels: [H, W] or [H, W, 3]; order: '<' or '>'; following: offset of the next page;
    tags: by the names of NAMES, in place of what fits the pixels.
    """
    rows, columns, *samples = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    content = {
        "width": columns,
        "height": rows,
        "bits": 8 * pixels.dtype.itemsize,
        "compression": 1,
        "photometric": photometric,
        "samples": samples[0] if samples else 1,
        "rows": rows,
        "strip_bytes": len(data),
        **tags,
    }
    entries = {NAMES[name]: value for name, value in content.items()}
    entries[273] = 8 + 2 + 12 * (len(entries) + 1) + 4
    mark = b"II*\0" if order == "<" else b"MM\0*"
    made = mark + struct.pack(f"{order}IH", 8, len(entries))
    for tag, value in sorted(entries.items()):
        if tag in (273, 278, 279):
            made += struct.pack(f"{order}HHII", tag, 4, 1, value)
        else:
            made += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    return made + struct.pack(f"{order}I", following) + data


NAMES = {
    "width": 256,
    "height": 257,
    "bits": 258,
    "compression": 259,
    "photometric": 262,
    "orientation": 274,
    "samples": 277,
    "rows": 278,
    "strip_bytes": 279,
    "format": 339,
}
