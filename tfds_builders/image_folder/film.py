"""Reading one image of a tree, in any format."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common.build.ingest import Example
from tfds_builders.common.dicom.radiograph import read_radiograph
from tfds_builders.common.film import read_film, stored
from tfds_builders.common.images import encode_png, read_grey
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
    found = read_film(film.path, bits, polarity)
    notes = found.notes
    if contents.path_names_patient:
        notes = (*notes, "paths_name_patient")
    if film.leaks:
        notes = (*notes, f"split_leaks:{picture.folder}")
    rows, columns = found.pixels.shape
    return Example(
        {
            "image": encode_png(stored(found.pixels, size, bits)),
            "label": picture.label,
            "file": picture.file,
            "split_folder": picture.folder,
            "format": contents.format,
            "rows": rows,
            "columns": columns,
            "coloured": int(found.coloured),
            "age": contents.age,
            **found.header,
        },
        notes=notes,
    )


def _known(film: Film) -> Contents:
    """Errors: the InputError or OSError that the plan met, if any."""
    return film.contents or contents_of(film.picture)
