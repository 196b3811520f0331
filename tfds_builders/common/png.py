"""The structure of a PNG (ISO/IEC 15948): whole or not, its size and orientation."""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from tfds_builders.common import orientation

MARK = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# Chunks that a decoder needs; the others are text, previews and profiles, which some
# decoders unpack without a limit.
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# Adam7: first row and column of each pass, and the steps between.
_PASSES = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)),
    *((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
)
_STEP = 1 << 20  # bytes that are unpacked at a time


class Png(NamedTuple):
    """A whole PNG, its pixels still packed."""

    rows: int
    columns: int
    samples: int  # of a pixel: 1 to 4
    bits: int  # of a sample
    interlaced: bool
    orientation: int
    data: bytes  # the file without chunks that no pixel depends on


def read_png(data: bytes) -> Png | None:
    """What a PNG says; None if a chunk is missing, cut, or fails its checksum."""
    chunks = list(_chunks(data))
    names = [bytes(name) for name, _, _ in chunks]
    if names[:1] != [b"IHDR"] or names[-1:] != [b"IEND"] or len(chunks[0][1]) != 13:
        return None
    columns, rows, bits, colour, _, _, interlace = struct.unpack(
        ">IIBBBBB", chunks[0][1]
    )
    if (
        not rows
        or not columns
        or colour not in _SAMPLES
        or bits not in (1, 2, 4, 8, 16)
    ):
        return None
    exif = next((part for name, part, _ in chunks if name == b"eXIf"), b"")
    needed = b"".join(
        whole
        for name, _, whole in chunks
        if name in _NEEDED or name[0] & 0x20 == 0  # a critical one is for the decoder
    )
    return Png(
        *(rows, columns, _SAMPLES[colour], bits, interlace == 1),
        orientation.of_tiff(bytes(exif)),
        MARK + needed,
    )


def is_complete(png: Png) -> bool:
    """Whether the stream holds every row, and its own checksum is right.

    Decoders fill what is missing with nothing, and say so at best on the terminal.
    """
    unpacker, size = zlib.decompressobj(), 0
    expected = _stream_size(png)
    try:
        for name, part, _ in _chunks(png.data):
            rest = part if name == b"IDAT" else b""
            while rest and not unpacker.eof:
                size += len(unpacker.decompress(rest, _STEP))
                if size > expected:
                    return False
                rest = unpacker.unconsumed_tail
        while not unpacker.eof and (more := unpacker.decompress(b"", _STEP)):
            size += len(more)
    except zlib.error:
        return False
    return unpacker.eof and size == expected


def _stream_size(png: Png) -> int:
    """Bytes of the unpacked rows, a filter byte before each (9.2, 8.2)."""
    passes = _PASSES if png.interlaced else ((0, 0, 1, 1),)
    total = 0
    for top, left, down, across in passes:
        rows = math.ceil((png.rows - top) / down)
        columns = math.ceil((png.columns - left) / across)
        if rows > 0 and columns > 0:
            total += rows * (1 + math.ceil(columns * png.samples * png.bits / 8))
    return total


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """(name, content, whole chunk) up to IEND, or to the first that is damaged."""
    view, at = memoryview(data), len(MARK)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            return
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(view[at + 4 : end - 4]) != checksum:
            return
        name = bytes(view[at + 4 : at + 8])
        yield name, view[at + 8 : end - 4], view[at:end]
        if name == b"IEND":
            return
        at = end
