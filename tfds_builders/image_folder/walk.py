"""The images among the visible files of a tree; links are followed."""

from collections.abc import Iterator
from pathlib import Path

from tfds_builders.common.build import listing
from tfds_builders.common.errors import InputError
from tfds_builders.common.film import DICOM_SUFFIXES
from tfds_builders.common.images import SUFFIXES


def files_below(folder: Path) -> Iterator[Path]:
    """Visible files of a folder and of its sub-folders, in no particular order.

    Errors: InputError if a folder cannot be read, or a link leads back to a folder
    that contains it.
    """
    waiting = [(Path(folder), frozenset())]
    while waiting:
        here, above = waiting.pop()
        inside = listing.visible(here)
        status = here.stat()
        this = status.st_dev, status.st_ino
        if this in above:
            raise InputError(
                here, "a link to a folder that contains it", "Remove the link."
            )
        for path in inside:
            if path.is_dir():
                waiting.append((path, above | {this}))
            # A broken link is reported when it is read; a pipe is never read.
            elif path.is_file() or path.is_symlink():
                yield path


def is_picture(path: Path) -> bool:
    """Whether its ending says so, or its content where the ending does not."""
    known = path.suffix.lower() in (*SUFFIXES, *DICOM_SUFFIXES)
    return known or listing.is_picture(path)
