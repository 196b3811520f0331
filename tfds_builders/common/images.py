"""PNG and JPEG radiographs: read by content, made grey, resized, encoded."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from tfds_builders.common.errors import InputError

# Channels of a grey picture stored as colour JPEG differ by rounding. The mean, over
# the pixels, of the largest difference between channels, in grey levels of 255.
_COLOUR_TOLERANCE = 3.0

_AGAIN = "Copy the file from its source again."
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_OTHERS = {
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"RIFF": "a WebP",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
    b"<": "a web page or XML, not the file itself",
    b"%PDF": "a PDF",
    b"PK": "a zip archive",
}
_STORED = [
    cv2.IMWRITE_PNG_COMPRESSION,
    0,
    cv2.IMWRITE_PNG_FILTER,
    cv2.IMWRITE_PNG_FILTER_UP,
]
SUFFIXES = (".png", ".jpg", ".jpeg")


def read_picture(path: Path) -> np.ndarray:
    """Grey pixels [H, W] of a PNG or JPEG, recognised by content.

    Palettes and colour whose channels agree become grey (luma, ITU-R BT.601, where
    they differ by rounding); an opaque alpha channel is dropped.

    Returns: uint8, or uint16 where a PNG has 16 bits.
    Errors: InputError where the file is another format, damaged, truncated,
    transparent or in colour.
    """
    pixels, difference = _read(path)
    if difference > _COLOUR_TOLERANCE:
        raise InputError(
            path,
            f"a colour image (channels differ by {difference:.0f} of 255 grey levels)",
            "A radiograph is grey: remove the file, or replace it with the grey original.",
        )
    return pixels


def read_grey(path: Path) -> tuple[np.ndarray, bool]:
    """`read_picture_8bit` for collections from the web, where films come tinted.

    Returns: luma (ITU-R BT.601), and whether the image was in colour, which is worth
    storing because it may reveal the source.
    """
    pixels, difference = _read(path)
    return _only_8bit(path, pixels), difference > _COLOUR_TOLERANCE


def read_picture_8bit(path: Path) -> np.ndarray:
    """`read_picture`, uint8 only.

    A 16-bit PNG does not say how many of its bits are used (12 is common), so any
    conversion would guess the intensities: it is refused.
    """
    return _only_8bit(path, read_picture(path))


def resize_longest(pixels: np.ndarray, size: int) -> np.ndarray:
    """Shrink so that the longer side is `size`, by area averaging.

    The aspect is kept; smaller pictures are returned as they are, never enlarged.
    """
    height, width = pixels.shape
    longest = max(height, width)
    if longest <= size:
        return pixels
    shape = [
        max(1, (side * size + longest // 2) // longest) for side in (width, height)
    ]
    return cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of grey pixels [H, W], uint8 or uint16; lossless.

    Filtered, but not deflated: the record file compresses everything it stores, and
    faster. Reading takes a third of the time, at the same size on disk.
    """
    return cv2.imencode(".png", pixels, _STORED)[1].tobytes()


def _only_8bit(path, pixels) -> np.ndarray:
    if pixels.dtype != np.uint8:
        raise InputError(
            path,
            f"a 16-bit PNG (largest value {pixels.max()}) where the release has 8",
            "Convert it to 8 bits over the range that it really uses, or copy the "
            "file from the release again.",
        )
    return pixels


def _read(path) -> tuple[np.ndarray, float]:
    """Grey pixels, and how far the channels differ, in grey levels of 255."""
    data = Path(path).read_bytes()
    _check_whole(path, data)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        picture = None
    if picture is None or picture.size == 0:
        raise InputError(path, "a damaged image: it cannot be decoded", _AGAIN)
    return (picture, 0.0) if picture.ndim == 2 else _grey(path, picture)


def _grey(path, picture) -> tuple[np.ndarray, float]:
    *colours, last = cv2.split(picture)
    full = np.iinfo(picture.dtype).max
    if len(colours) in (1, 3):  # the last channel is opacity
        if (last != full).any():
            raise InputError(
                path,
                "a transparent image",
                "Save it without an alpha channel, as 8-bit grey.",
            )
    else:
        colours.append(last)
    highest, lowest = colours[0], colours[0]
    for channel in colours[1:]:
        highest, lowest = cv2.max(highest, channel), cv2.min(lowest, channel)
    difference = float((highest - lowest).mean()) * 255 / full
    if difference == 0:
        return colours[0], difference
    return cv2.cvtColor(cv2.merge(colours), cv2.COLOR_BGR2GRAY), difference


def _check_whole(path, data: bytes) -> None:
    """Raise InputError unless `data` is one whole PNG or JPEG.

    Decoders fill the missing part of a truncated picture with grey, or with nothing,
    and only some versions of them complain.
    """
    if data.startswith(_PNG):
        whole = _is_whole_png(data)
    elif data.startswith(_JPEG):
        whole = _is_whole_jpeg(data)
    elif not data:
        raise InputError(path, "the file is empty", _AGAIN)
    else:
        kind = next((k for start, k in _OTHERS.items() if data.startswith(start)), None)
        kind = "a DICOM" if data[128:132] == b"DICM" else kind
        kind = kind or f"an unknown format, beginning with {data[:8]!r}"
        raise InputError(path, f"neither PNG nor JPEG: {kind}", _AGAIN)
    if not whole:
        raise InputError(
            path, f"a truncated or damaged image ({len(data)} bytes)", _AGAIN
        )


def _is_whole_png(data: bytes) -> bool:
    """Every chunk is there with its checksum, up to IEND (ISO/IEC 15948, 5.3)."""
    at = len(_PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        end = at + 12 + length
        if end > len(data):
            return False
        name_and_data = memoryview(data)[at + 4 : end - 4]
        if zlib.crc32(name_and_data) != struct.unpack(">I", data[end - 4 : end])[0]:
            return False
        if name_and_data[:4] == b"IEND":
            return True
        at = end
    return False


def _is_whole_jpeg(data: bytes) -> bool:
    """There is an end marker behind the start of the scan (ITU-T T.81, B.1.1.3).

    The segments before it are stepped over: an embedded thumbnail has an end too.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            return data.find(b"\xff\xd9", at) >= 0
        if marker == 0xFF:  # fill byte
            at += 1
        else:
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return False
