"""One film of any format: the one function by which its pixels are read."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common import jpeg, limits, png, tiff, webp
from tfds_builders.common.dicom.radiograph import POLARITIES, read_radiograph
from tfds_builders.common.images import SUFFIXES, read_grey, resize_longest
from tfds_builders.common.limits import Held

PICTURE_SUFFIXES = (*SUFFIXES, ".tif", ".tiff", ".webp")
DICOM_SUFFIXES = (".dcm", ".dicom")
HEADER = ("view", "sex", "manufacturer", "modality", "photometric_interpretation")
_MARK_AT, _MARK = 128, b"DICM"  # PS3.10, 7.1
HEAD = _MARK_AT + len(_MARK)
_MARKS = {png.MARK: "png", jpeg.MARK: "jpeg", **dict.fromkeys(tiff.MARKS, "tiff")}


class Film(NamedTuple):
    """One film at its own size.

    Attributes:
      pixels: [H, W], air black; uint16 of DICOM, and of all where 16 bits are asked
        for; else uint8.
      notes: keys of counts.COUNTS.
      format: of `format_of`.
      header: {name of HEADER: text}, '' where it does not say.
      coloured: whether it was in colour.
    """

    pixels: np.ndarray
    notes: tuple[str, ...]
    format: str
    header: dict[str, str]
    coloured: bool = False


def format_of(head: bytes, suffix: str) -> str:
    """png, jpeg, tiff, webp or dicom, by the first HEAD bytes or more of a file; '' if unknown.

    suffix: its ending, which makes DICOM of what has no mark (PS3.10 wants one).
    """
    found = next((kind for mark, kind in _MARKS.items() if head.startswith(mark)), "")
    if found or webp.is_webp(head):
        return found or "webp"
    is_dicom = head[_MARK_AT:HEAD] == _MARK or _is_data_set(head)
    return "dicom" if is_dicom or suffix.lower() in DICOM_SUFFIXES else ""


def _is_data_set(head: bytes) -> bool:
    """Whether it begins like DICOM without a preamble: group 2 or 8, a short element."""
    if head.startswith(_MARK):
        return True
    if len(head) < 12 or head[:2] not in (b"\x02\0", b"\x08\0") or head[3]:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or int.from_bytes(head[4:8], "little") < 256


def read_film(
    source: str | Path | Held, bits: int, polarity: str = POLARITIES[0]
) -> Film:
    """A film as it is: its pixels, and what there is to say about them.

    Args:
      source: a file, or its content.
      bits: of what is to become of it. With 8, a picture of 16 bits is scaled to 8
        here and DICOM keeps its 16 until `stored`; with 16, 8-bit values become 16 by
        257, so that white is white.
      polarity: see `dicom.radiograph.read_dicom`.

    Errors: InputError for a file that cannot be read. OSError as of `open`.
    """
    held = source if isinstance(source, Held) else _held(source)
    if format_of(held.data[:HEAD], Path(held.name).suffix) == "dicom":
        return _read_dicom(held, polarity)
    pixels, notes = found = read_grey(held, bits)
    if bits == 16 and pixels.dtype == np.uint8:
        pixels = pixels.astype(np.uint16) * 257
    kind = format_of(held.data[:HEAD], "")
    return Film(pixels, notes, kind, dict.fromkeys(HEADER, ""), found.coloured)


def stored(pixels: np.ndarray, size: int, bits: int) -> np.ndarray:
    """A film as a dataset holds it: the longer side at most `size`, at that depth.

    Black and white stay at the ends of either range. pixels: [H, W] of `read_film`.
    """
    if bits == 16 and pixels.dtype == np.uint8:
        pixels = pixels.astype(np.uint16) * 257
    small = resize_longest(pixels, size)
    if bits == 8 and small.dtype == np.uint16:
        return np.rint(small / 257).astype(np.uint8)
    return small


def _held(path: str | Path) -> Held:
    return Held(str(path), limits.read_file(path))


def _read_dicom(held: Held, polarity: str) -> Film:
    xray, notes = read_radiograph(held, polarity)
    sex = xray.sex.upper()
    header = {
        "view": xray.view,
        "sex": sex if sex in ("M", "F") else "",
        "manufacturer": xray.manufacturer,
        "modality": xray.modality,
        "photometric_interpretation": xray.photometric_interpretation,
    }
    return Film(xray.pixels, notes, "dicom", header)
