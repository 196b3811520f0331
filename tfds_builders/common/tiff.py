"""The structure of a TIFF (Adobe, revision 6.0): one grey or RGB picture, or why not."""

import struct
from typing import NamedTuple

from tfds_builders.common import orientation

MARKS = (b"II*\0", b"MM\0*")
BIG_MARKS = (b"II+\0", b"MM\0+")
_SIZES = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG
# Tags of section 8 and their defaults.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _TILES, _TILE_BYTES, _FORMAT = 284, 324, 325, 339
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_LEFT_ALONE = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits"}
_COMPRESSIONS = {
    **_LEFT_ALONE,
    2: "CCITT",
    3: "CCITT",
    4: "CCITT",
    6: "JPEG",
    7: "JPEG",
    34712: "JPEG 2000",
}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_PHOTOMETRICS = {3: "a palette", 4: "a mask", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}
_FORMATS = {2: "signed numbers", 3: "floating point numbers"}
_MOST_ENTRIES = 4096


class Tiff(NamedTuple):
    """Attributes:
    rows, columns: of the picture.
    white_is_zero: MINISWHITE, so its values are those of a negative.
    orientation: as of EXIF.
    data: the file, which says that it is upright and that black is zero.
    """

    rows: int
    columns: int
    white_is_zero: bool
    orientation: int
    data: bytes


def read_tiff(data: bytes) -> Tiff | str | None:
    """What a TIFF says; why it is not read, in words; or None where it is damaged.

    What is done about orientation and polarity differs between decoders and depths, so
    it is done here, and the decoder gets neither.
    """
    order = "<" if data[:2] == b"II" else ">"
    tags = _tags(data, order)
    if tags is None:
        return None
    fields, places, following = tags
    if following:
        return "several pages in one TIFF"
    reason = _unreadable(fields)
    if reason:
        return reason
    rows, columns = fields[_HEIGHT][0], fields[_WIDTH][0]
    if not rows or not columns or not _is_whole(data, fields, rows, columns):
        return None
    turned = fields.get(_ORIENTATION, (orientation.UPRIGHT,))[0]
    plain = bytearray(data)
    for tag, value in ((_ORIENTATION, orientation.UPRIGHT), (_PHOTOMETRIC, None)):
        is_negative = tag == _PHOTOMETRIC and fields[tag][0] == _WHITE_IS_ZERO
        if tag in places and (value is not None or is_negative):
            size, at = places[tag]
            put = _BLACK_IS_ZERO if value is None else value
            struct.pack_into(order + size, plain, at, put)
    return Tiff(
        rows,
        columns,
        fields[_PHOTOMETRIC][0] == _WHITE_IS_ZERO,
        turned if 1 <= turned <= 8 else orientation.UPRIGHT,
        bytes(plain),
    )


def _tags(data: bytes, order: str):
    """({tag: values}, {tag: (type, place of its only value)}, offset of the next page)."""
    if len(data) < 8:
        return None
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    if at + 2 > len(data):
        return None
    (count,) = struct.unpack_from(f"{order}H", data, at)
    end = at + 2 + 12 * count
    if not 0 < count <= _MOST_ENTRIES or end + 4 > len(data):
        return None
    fields: dict[int, tuple[int, ...]] = {}
    places = {}
    for entry in range(at + 2, end, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, entry)
        size = _SIZES.get(kind)
        if size is None:
            continue
        length = number * struct.calcsize(order + size)
        place = entry + 8
        if length > 4:
            (place,) = struct.unpack_from(f"{order}I", data, place)
        if place + length > len(data):
            return None
        fields[tag] = struct.unpack_from(f"{order}{number}{size}", data, place)
        if number == 1:
            places[tag] = size, place
    if any(not fields.get(tag) for tag in (_WIDTH, _HEIGHT, _PHOTOMETRIC)):
        return None
    (following,) = struct.unpack_from(f"{order}I", data, end)
    return fields, places, following


def _unreadable(fields: dict[int, tuple[int, ...]]) -> str:
    """Why a whole TIFF is not read, or ''."""
    photometric, samples = fields[_PHOTOMETRIC][0], fields.get(_SAMPLES, (1,))[0]
    compression = fields.get(_COMPRESSION, (1,))[0]
    bits = set(fields.get(_BITS, (1,)))
    number = fields.get(_FORMAT, (1,))[0]
    if number in _FORMATS:
        return f"a TIFF of {_FORMATS[number]}"
    if len(bits) != 1 or not bits <= {8, 16}:
        return f"a TIFF of {', '.join(map(str, sorted(bits)))} bits"
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        return f"a TIFF of {_PHOTOMETRICS.get(photometric, 'unknown colours')}"
    if samples != (3 if photometric == _RGB else 1):
        return f"a TIFF of {samples} samples a pixel"
    if compression not in _LEFT_ALONE:
        name = _COMPRESSIONS.get(compression, f"number {compression}")
        return f"a TIFF with the compression {name}"
    if samples > 1 and fields.get(_PLANAR, (1,))[0] != 1:
        return "a TIFF with a plane for each colour"
    return ""


def _is_whole(data: bytes, fields, rows: int, columns: int) -> bool:
    """Whether there are as many strips or tiles as needed, each inside the file."""
    tiled = _TILES in fields
    offsets = fields.get(_TILES if tiled else _STRIPS, ())
    sizes = fields.get(_TILE_BYTES if tiled else _STRIP_BYTES, ())
    if tiled:
        width, height = (
            fields.get(_TILE_WIDTH, (0,))[0],
            fields.get(_TILE_HEIGHT, (0,))[0],
        )
        if not width or not height:
            return False
        needed = -(-rows // height) * -(-columns // width)
        pixels = needed * width * height
    else:
        height = min(fields.get(_ROWS, (rows,))[0] or rows, rows)
        needed, pixels = -(-rows // height), rows * columns
    if not len(offsets) == len(sizes) == needed:
        return False
    if any(not n or at + n > len(data) for at, n in zip(offsets, sizes, strict=True)):
        return False
    if fields.get(_COMPRESSION, (1,))[0] != 1:
        return True
    per_pixel = fields.get(_BITS, (8,))[0] // 8 * fields.get(_SAMPLES, (1,))[0]
    return sum(sizes) >= pixels * per_pixel
