"""Radiographs as pictures: read by content, made grey, resized, encoded.

PNG, JPEG, and TIFF and WebP as other programs write them.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tfds_builders.common import jpeg, limits, opencv, png, tiff, webp
from tfds_builders.common.errors import InputError
from tfds_builders.common.film_checks import check_film
from tfds_builders.common.limits import Held
from tfds_builders.common.orientation import UPRIGHT, upright

# Channels of a grey picture stored as colour JPEG differ by rounding. The mean, over
# the pixels, of the largest difference between channels, in grey levels of 255.
_COLOUR_TOLERANCE = 3.0
# Mean opacity from which an alpha channel is dropped: a few stray pixels say nothing.
_LEAST_OPACITY = 0.99
# A 16-bit PNG does not say how many of its bits are used: the least of these depths
# that holds its largest value, as detectors and converters write them.
_DEPTHS = (8, 10, 12, 14, 16)
# Largest share of the pixels of a mask that may be neither black nor white.
_MOST_EDGE = 0.2

_AGAIN = "Copy the file from its source again."
_CONVERT = "Convert it to PNG (lossless, 8 or 16 bits)."
_OTHERS = {
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II+\0": "a BigTIFF",
    b"MM\0+": "a BigTIFF",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
    b"<": "a web page or XML, not the file itself",
    b"%PDF": "a PDF",
    b"PK": "a zip archive",
}
_CONVERTIBLE = ("a GIF", "a BMP", "a BigTIFF")
_STORED = [
    cv2.IMWRITE_PNG_COMPRESSION,
    0,
    cv2.IMWRITE_PNG_FILTER,
    cv2.IMWRITE_PNG_FILTER_UP,
]
SUFFIXES = (".png", ".jpg", ".jpeg")


class Picture(NamedTuple):
    """Grey pixels [H, W], and what was done to get them (keys of counts.COUNTS)."""

    pixels: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def coloured(self) -> bool:
        """Whether it was in colour: worth storing, because it may reveal the source."""
        return "images_coloured" in self.notes


def read_picture(path: Path) -> np.ndarray:
    """Grey pixels [H, W] of a picture at its own depth; see `read_grey`.

    Errors: InputError also where it is in colour.
    """
    pixels, difference, _ = _read(path)
    _refuse_colour(path, difference)
    return pixels


def read_picture_8bit(path: Path) -> np.ndarray:
    """Grey pixels [H, W], uint8, of a picture that is not in colour."""
    return read_grey(path, colour=False).pixels


def read_grey(path: Path | Held, bits: int = 8, colour: bool = True) -> Picture:
    """A PNG, JPEG, TIFF or WebP, recognised by content, in grey.

    Palettes and colour become luma (ITU-R BT.601), also where the channels differ by
    rounding only. An alpha channel is dropped if the picture is opaque on average
    (`_LEAST_OPACITY`). Values of 16 bits are scaled to the whole range from the
    depth that they use (`_DEPTHS`).

    Args:
      bits: 8; or 16, to keep what an 8-bit picture could not hold.
      colour: whether films may be tinted, as those of the web are.

    Returns: uint8, or uint16 where `bits` is 16 and the file has 16.
    Errors: InputError where the file is another format, damaged, truncated,
    transparent, or in colour although it must not be.
    """
    picture = _read_8_or_16(path, bits, colour)
    return picture._replace(notes=(*picture.notes, *check_film(path, picture.pixels)))


def _read_8_or_16(path, bits: int = 8, colour: bool = True) -> Picture:
    pixels, difference, notes = _read(path)
    if not colour:
        _refuse_colour(path, difference)
    elif difference > _COLOUR_TOLERANCE:
        notes += ("images_coloured",)
    if pixels.dtype == np.uint16:
        used = _depth(pixels)
        full = 255 if bits == 8 else 65535
        pixels = np.rint(pixels * (full / (2**used - 1)))
        pixels = pixels.astype(np.uint8 if bits == 8 else np.uint16)
        notes += (f"images_of_16_bits:{used}",)
    return Picture(pixels, notes)


def read_mask(path: Path) -> Picture:
    """A lung mask of 0 and 255 [H, W]: what is at least half white is lung.

    Masks that were drawn with smooth edges, or shrunk, have grey values at the edges;
    some programs write 1 for 255.

    Errors: InputError as of `read_grey`, and where it is a picture and not a mask.
    """
    mask, notes = _read_8_or_16(path)
    highest = int(mask.max())
    if highest == 1:
        return Picture(mask * np.uint8(255), (*notes, "masks_thresholded"))
    between = float(((mask >= 64) & (mask < 192)).mean())
    if between > _MOST_EDGE or (0 < highest < 128):
        raise InputError(
            path,
            f"not a mask: {len(np.unique(mask))} grey values up to {highest}, "
            f"{100 * between:.0f} % of the pixels neither black nor white",
            "Copy the file from the release again; a mask is black and white.",
        )
    if not np.isin(mask, (0, 255)).all():
        notes += ("masks_thresholded",)
    return Picture(np.where(mask >= 128, 255, 0).astype(np.uint8), notes)


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


def _refuse_colour(path, difference: float) -> None:
    if difference > _COLOUR_TOLERANCE:
        raise InputError(
            path,
            f"a colour image (channels differ by {difference:.0f} of 255 grey levels)",
            "A radiograph is grey: remove the file, or replace it with the grey original.",
        )


def _read(path) -> tuple[np.ndarray, float, tuple[str, ...]]:
    """Grey pixels; how far the channels differ, in grey levels of 255; and notes."""
    data = limits.read_file(path)
    notes: tuple[str, ...] = ()
    if data.startswith(png.MARK):
        picture, turned = _decode_png(path, data)
    elif data.startswith(jpeg.MARK):
        picture, turned = _decode_jpeg(path, data)
    elif data.startswith(tiff.MARKS):
        picture, turned, notes = _decode_tiff(path, data)
    elif webp.is_webp(data):
        picture, turned = _decode_webp(path, data)
    else:
        raise _unknown(path, data)
    if picture is None or picture.size == 0:
        raise InputError(path, "a damaged image: it cannot be decoded", _AGAIN)
    if turned != UPRIGHT:
        picture, notes = upright(picture, turned), (*notes, f"images_turned:{turned}")
    if picture.ndim == 2:
        return picture, 0.0, notes
    grey, difference, more = _grey(path, picture)
    return grey, difference, (*notes, *more)


def _unknown(path, data: bytes) -> InputError:
    if not data:
        return InputError(path, "the file is empty", _AGAIN)
    kind = next((k for start, k in _OTHERS.items() if data.startswith(start)), None)
    kind = "a DICOM" if data[128:132] == b"DICM" else kind
    kind = kind or f"an unknown format, beginning with {data[:8]!r}"
    convert = "Convert it to PNG, which loses nothing: magick IN OUT.png"
    hint = convert if kind in _CONVERTIBLE else _AGAIN
    return InputError(path, f"not a PNG, JPEG, TIFF or WebP but {kind}", hint)


def _decode_png(path, data: bytes) -> tuple[np.ndarray | None, int]:
    """The picture as it is stored, and its orientation."""
    found = png.read_png(data)
    if found is None:
        raise _damaged(path, data)
    limits.check_pixels(path, found.rows, found.columns)
    if not png.is_complete(found):
        raise _damaged(path, data)
    return opencv.imdecode(found.data), found.orientation


def _decode_jpeg(path, data: bytes) -> tuple[np.ndarray | None, int]:
    """The same of a JPEG."""
    found = jpeg.read_jpeg(data)
    if found is None:
        raise _damaged(path, data)
    if found.kind not in jpeg.READABLE or found.bits != 8:
        raise InputError(
            path,
            f"an unsupported format: {found.kind}, {found.bits} bits",
            _CONVERT,
        )
    if found.components not in (1, 3):  # which may be stored inverted, or not
        raise InputError(
            path,
            f"a JPEG of {found.components} colours (CMYK)",
            "A radiograph is grey: convert it to a grey PNG.",
        )
    limits.check_pixels(path, found.rows, found.columns)
    if not found.is_whole:
        raise _damaged(path, data)
    picture, is_doubtful = jpeg.decode(data)
    if is_doubtful:
        raise InputError(
            path,
            "a damaged JPEG: parts of its picture are lost or left over",
            _AGAIN,
        )
    return picture, found.orientation


def _decode_tiff(path, data: bytes):
    """The same of a TIFF, and notes."""
    found = tiff.read_tiff(data)
    if isinstance(found, str):
        raise InputError(path, f"an unsupported format: {found}", _CONVERT)
    if found is None:
        raise _damaged(path, data)
    limits.check_pixels(path, found.rows, found.columns)
    picture, lines = opencv.decode(found.data, lambda line: b"tiff" in line.lower())
    if any(line.startswith(b"[ERROR") for line in lines):
        raise InputError(path, "a damaged TIFF: its picture cannot be decoded", _AGAIN)
    if picture is None or not found.white_is_zero:
        return picture, found.orientation, ()
    full = 2 ** (8 if picture.dtype == np.uint8 else _depth(picture)) - 1
    return full - picture, found.orientation, ("images_white_is_zero",)


def _decode_webp(path, data: bytes) -> tuple[np.ndarray | None, int]:
    """The same of a WebP."""
    found = webp.read_webp(data)
    if found is None:
        raise _damaged(path, data)
    if found.animated:
        raise InputError(path, "an unsupported format: an animated WebP", _CONVERT)
    limits.check_pixels(path, found.rows, found.columns)
    return opencv.imdecode(data), found.orientation


def _damaged(path, data: bytes) -> InputError:
    return InputError(path, f"a truncated or damaged image ({len(data)} bytes)", _AGAIN)


def _grey(path, picture) -> tuple[np.ndarray, float, tuple[str, ...]]:
    *colours, last = cv2.split(picture)
    full = np.iinfo(picture.dtype).max
    notes: tuple[str, ...] = ()
    if len(colours) in (1, 3):  # the last channel is opacity
        if (last != full).any():
            _check_opaque(path, last, full)
            notes = ("images_not_quite_opaque",)
    else:
        colours.append(last)
    highest, lowest = colours[0], colours[0]
    for channel in colours[1:]:
        highest, lowest = cv2.max(highest, channel), cv2.min(lowest, channel)
    depth = 8 if full == 255 else _depth(highest)
    difference = float((highest - lowest).mean()) * 255 / (2**depth - 1)
    if difference == 0:
        return colours[0], difference, notes
    grey = cv2.cvtColor(cv2.merge(colours), cv2.COLOR_BGR2GRAY)
    return grey, difference, notes


def _depth(pixels: np.ndarray) -> int:
    return next(depth for depth in _DEPTHS if int(pixels.max()) < 2**depth)


def _check_opaque(path, opacity: np.ndarray, full: int) -> None:
    if opacity.mean() < _LEAST_OPACITY * full:
        seen = int((opacity != full).sum())
        raise InputError(
            path,
            f"a transparent image: {seen:,} of {opacity.size:,} pixels are not opaque",
            "Save it without an alpha channel, over the background that it was made for.",
        )
