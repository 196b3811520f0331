"""Reading one image of a tree, in any format."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common.build.ingest import Example
from tfds_builders.common.dicom.radiograph import read_radiograph
from tfds_builders.common.images import Picture as Pixels
from tfds_builders.common.images import encode_png, read_grey, resize_longest
from tfds_builders.image_folder.contents import Contents, read_contents
from tfds_builders.image_folder.leakage import Digests, digests_of
from tfds_builders.image_folder.tree import Picture


class Film(NamedTuple):
    """One image, its header, and whether the folders' split leaks it."""

    name: str
    path: Path
    picture: Picture
    contents: Contents | None  # None: they could not be read
    leaks: bool  # its patient, or a copy of it, is in what trains its split

    @property
    def label(self) -> str:
        """Its class."""
        return self.picture.label


def contents_of(picture: Picture) -> Contents:
    """See `read_contents`."""
    return read_contents(picture.path, picture.file)


def grey(film: Film, polarity: str) -> np.ndarray:
    """Pixels [H, W], uint8 or, of DICOM, uint16."""
    if _known(film).format == "dicom":
        return read_radiograph(film.path, polarity).xray.pixels
    return read_grey(film.path).pixels


def digests(film: Film, polarity: str) -> Digests:
    """Hashes by which its copies are found."""
    return digests_of(film.path.read_bytes(), grey(film, polarity))


def read(film: Film, size: int, bits: int, polarity: str) -> Example:
    """The example of a picture.

    Args:
      size: of the longer side at most, in pixels.
      bits: 8 or 16.
      polarity: see `builder.Options`.

    Errors: InputError for a file that cannot be read.
    """
    contents, picture = _known(film), film.picture
    if contents.format == "dicom":
        pixels, header, notes = _read_dicom(film, polarity)
    else:
        (pixels, notes), header = _read_picture(film, bits)
    if film.leaks:
        notes = (*notes, f"split_leaks:{picture.folder}")
    rows, columns = pixels.shape
    return Example(
        {
            "image": encode_png(_shrink(pixels, size, bits)),
            "label": picture.label,
            "file": picture.file,
            "split_folder": picture.folder,
            "format": contents.format,
            "rows": rows,
            "columns": columns,
            "age": contents.age,
            **header,
        },
        notes=notes,
    )


def _read_dicom(film: Film, polarity: str) -> tuple[np.ndarray, dict, tuple[str, ...]]:
    xray, notes = read_radiograph(film.path, polarity)
    if _known(film).path_names_patient:
        notes = (*notes, "paths_name_patient")
    sex = xray.sex.upper()
    header = {
        "coloured": 0,
        "view": xray.view,
        "sex": sex if sex in ("M", "F") else "",
        "manufacturer": xray.manufacturer,
        "modality": xray.modality,
        "photometric_interpretation": xray.photometric_interpretation,
    }
    return xray.pixels, header, notes


def _read_picture(film: Film, bits: int) -> tuple[Pixels, dict]:
    found = read_grey(film.path, bits)
    unknown = dict.fromkeys(
        ("view", "sex", "manufacturer", "modality", "photometric_interpretation"), ""
    )
    return found, {"coloured": int(found.coloured), **unknown}


def _shrink(pixels: np.ndarray, size: int, bits: int) -> np.ndarray:
    """At the stored depth, with black and white at the ends of either range."""
    if bits == 16 and pixels.dtype == np.uint8:
        pixels = pixels.astype(np.uint16) * 257
    small = resize_longest(pixels, size)
    if bits == 8 and small.dtype == np.uint16:
        return np.rint(small / 257).astype(np.uint8)
    return small


def _known(film: Film) -> Contents:
    """Errors: the InputError or OSError that the plan met, if any."""
    return film.contents or contents_of(film.picture)
