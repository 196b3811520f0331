"""The structure of a JPEG (ITU-T T.81): its markers, size, orientation and end."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfds_builders.common import opencv, orientation

MARK = b"\xff\xd8\xff"
END = b"\xff\xd9"
SCAN = 0xDA
# Table B.1: frame headers, and what they are the beginning of.
READABLE = ("baseline JPEG", "extended JPEG", "progressive JPEG")  # by OpenCV
FRAMES = {
    0xC0: "baseline JPEG",
    0xC1: "extended JPEG",
    0xC2: "progressive JPEG",
    0xC3: "lossless JPEG",
    0xC9: "JPEG with arithmetic coding",
    0xCA: "JPEG with arithmetic coding",
    0xCB: "JPEG with arithmetic coding",
    0xF7: "JPEG-LS",
}
_HIERARCHICAL = {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF}
_EXIF = b"Exif\0\0"
_COEFFICIENTS = 64
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# How a warning of libjpeg begins (jerror.h, JWRN_*). It writes only the first one.
_COMPLAINTS = (
    *(b"Corrupt JPEG", b"Premature end", b"Inconsistent progression", b"Warning:"),
    *(b"Unknown Adobe", b"Invalid SOS", b"Application transferred"),
)


class Jpeg(NamedTuple):
    """What the segments of a JPEG say."""

    kind: str  # a value of FRAMES, or 'hierarchical JPEG'
    rows: int
    columns: int
    components: int
    bits: int
    orientation: int
    is_whole: bool  # scans for everything, and an end marker


def read_jpeg(data: bytes) -> Jpeg | None:
    """What a JPEG says; None where it has no frame header."""
    found, turned, ends = None, orientation.UPRIGHT, False
    missing: dict[int, list[int]] = {}  # component: lowest bit seen of each coefficient
    for marker, at, size in segments(data):
        body = data[at + 4 : at + size]
        if marker == 0xD9:
            ends = True
        elif marker == 0xE1 and body.startswith(_EXIF):
            turned = orientation.of_tiff(body[len(_EXIF) :])
        elif (marker in FRAMES or marker in _HIERARCHICAL) and len(body) >= 6:
            bits, rows, columns, components = struct.unpack_from(">BHHB", body)
            kind = FRAMES.get(marker, "hierarchical JPEG")
            found = kind, rows, columns, components, bits
            missing = {c: [99] * _COEFFICIENTS for c in body[6::3][:components]}
        elif marker == SCAN:
            _note_scan(body, missing)
    if found is None:
        return None
    return Jpeg(*found, turned, ends and _is_covered(found[0], missing))


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, where it is, bytes with their marker) of each segment of a JPEG.

    Stops at the end marker, or where no segment follows. The data of a scan, with its
    restart markers, are stepped over; a thumbnail inside a segment is too.
    """
    at = 2
    while at + 2 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xD9:
            yield marker, at, 2
            return
        if at + 4 > len(data):
            return
        size = 2 + struct.unpack_from(">H", data, at + 2)[0]
        yield marker, at, size
        at += size
        if marker == SCAN:
            at = _next_marker(data, at)


def decode(data: bytes) -> tuple[np.ndarray | None, bool]:
    """(picture or None, whether libjpeg complained) of a JPEG.

    It fills what is missing with grey, and says so on the terminal alone.
    """
    picture, lines = opencv.decode(data, lambda line: line.startswith(_COMPLAINTS))
    return picture, bool(lines)


def _next_marker(data: bytes, at: int) -> int:
    """Where the data of a scan end: at a marker other than a restart (B.1.1.5)."""
    found = _MARKER.search(data, at)
    return found.end() - 2 if found else len(data)


def _note_scan(body: bytes, missing: dict[int, list[int]]) -> None:
    """Note the coefficients, and their lowest bit, that a scan holds (B.2.3)."""
    count = body[0] if body else 0
    if len(body) < 4 + 2 * count:
        return
    first, last, bits = body[1 + 2 * count : 4 + 2 * count]
    for component in body[1 : 1 + 2 * count : 2]:
        lowest = missing.get(component)
        if lowest:
            for k in range(first, min(last, _COEFFICIENTS - 1) + 1):
                lowest[k] = min(lowest[k], bits & 15)


def _is_covered(kind: str, missing: dict[int, list[int]]) -> bool:
    """Whether there is a scan for every component, to the last bit if progressive."""
    if kind == "progressive JPEG":
        return all(not any(lowest) for lowest in missing.values())
    return all(lowest[0] < 99 for lowest in missing.values())
