"""Run-length coded frames (PS3.5, annex G)."""

import struct

import numpy as np

from tfds_builders.common.dicom.layout import Layout
from tfds_builders.common.errors import InputError

_HEADER = 64  # bytes
_FEW = 4


def begins(frame: bytes, layout: Layout) -> bool:
    """Whether a frame has a segment for each byte of a cell, behind a header (G.5)."""
    return frame.startswith(struct.pack("<II", layout.width, _HEADER))


def decode(path, frame: bytes, layout: Layout) -> tuple[np.ndarray, tuple[str, ...]]:
    """All bits of the cells [rows, columns], and keys of counts.COUNTS.

    The highest bytes are the first segment. Each row is coded by itself (G.3.1). Where
    most rows are and some are not, bytes were lost whose length others made up for.

    Errors: InputError for a segment that is not as long as the image.
    """
    starts = struct.unpack_from(f"<{layout.width}I", frame.ljust(_HEADER), 4)
    ends = (*starts[1:], len(frame))
    planes, notes = [], ()
    for start, end in zip(starts, ends, strict=True):
        if not _HEADER <= start <= end <= len(frame):
            raise _damaged(path, f"a segment from byte {start} to {end}")
        size = layout.rows * layout.columns
        plane, reached = _unpacked(path, frame[start:end], size)
        last = np.arange(layout.columns, size + 1, layout.columns)
        ends_of_rows = np.isin(last, reached)  # that of the last row always
        if 0.5 <= np.mean(ends_of_rows) < 1:
            notes = ("dicom_rle_rows_torn",)
        planes.append(plane)
    cells = np.stack(planes[::-1], axis=-1)  # lowest byte first
    return cells.view(f"<u{layout.width}").reshape(layout.rows, layout.columns), notes


def _unpacked(path, segment: bytes, size: int) -> tuple[np.ndarray, list[int]]:
    """The bytes of a segment (G.3.2), and how many there are after each code.

    A few bytes behind them are padding, and so are more that are all alike; the first
    may be the one that the encoder added to make the length even.
    """
    parts, reached, length, at = [], [], 0, 0
    while length < size and at < len(segment):
        code = segment[at]
        if code < 128:
            part = segment[at + 1 : at + 2 + code]
            at += 2 + code
        else:  # 128 does nothing
            part = segment[at + 1 : at + 2] * (257 - code) if code > 128 else b""
            at += 2 if code > 128 else 1
        parts.append(part)
        length += len(part)
        reached.append(length)
    left_over = segment[at:]
    is_padding = len(left_over) <= _FEW or not left_over[1:].strip(left_over[-1:])
    if length != size or not is_padding:
        more = "more" if left_over or length > size else f"{length}"
        raise _damaged(path, f"a segment of {more} instead of {size} bytes")
    return np.frombuffer(b"".join(parts), np.uint8), reached


def _damaged(path, found: str) -> InputError:
    return InputError(
        path, f"a damaged RLE frame ({found})", "Copy the file from its source again."
    )
