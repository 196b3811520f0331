"""The structure of a WebP (RFC 9649): whole or not, its size and orientation."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tfds_builders.common import orientation

_ANIMATED = 0x02  # of the flags in VP8X
_EXIF_PREFIX = b"Exif\0\0"


class Webp(NamedTuple):
    """What the chunks of a WebP say."""

    rows: int
    columns: int
    animated: bool
    orientation: int


def is_webp(data: bytes) -> bool:
    """Whether a file begins like a WebP."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read_webp(data: bytes) -> Webp | None:
    """What a WebP says; None where a chunk is missing or cut."""
    if len(data) < 20:
        return None
    (size,) = struct.unpack_from("<I", data, 4)
    if 8 + size > len(data):
        return None
    found, turned, animated, chunks_end = None, orientation.UPRIGHT, False, 12
    for name, body, end in _chunks(data[: 8 + size]):
        chunks_end = end
        if name == b"VP8X" and len(body) >= 10:
            animated = bool(body[0] & _ANIMATED)
        elif name == b"EXIF":
            turned = orientation.of_tiff(body.removeprefix(_EXIF_PREFIX))
        elif name == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
            columns, rows = struct.unpack_from("<HH", body, 6)
            found = rows & 0x3FFF, columns & 0x3FFF
        elif name == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
            (packed,) = struct.unpack_from("<I", body, 1)
            found = (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1
    if chunks_end < 8 + size - 1:  # the last chunk is cut, or rubbish follows
        return None
    if found is None:
        return Webp(0, 0, True, turned) if animated else None
    return Webp(*found, animated, turned) if all(found) else None


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """(name, content, where it ends) of each whole chunk."""
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + size
        if end > len(data):
            return
        yield data[at : at + 4], data[at + 8 : end], end + size % 2
        at = end + size % 2
