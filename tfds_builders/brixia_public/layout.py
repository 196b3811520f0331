"""The films of BrixIA's public subset, and their patients where known."""

from pathlib import Path
from typing import NamedTuple

from tfds_builders.brixia_public.table import TABLE, Row, read_annotations
from tfds_builders.common.build.listing import (
    by_name,
    child,
    files,
    renamed,
    skipped,
)
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import SUFFIXES
from tfds_builders.common.tables import first
from tfds_builders.covid_chestxray.table import TABLE as METADATA
from tfds_builders.covid_chestxray.table import Row as About
from tfds_builders.covid_chestxray.table import example_ids, read_metadata

IMAGES = "public-cohen-subset"
_AGAIN = "Download the repository again, as a zip file or by git clone."


class Film(NamedTuple):
    """One picture, its scores, and what Cohen's metadata.csv says about it."""

    name: str  # the file name without its ending
    path: Path
    scores: Row
    about: About | None


class Release(NamedTuple):
    """All rows of the table in file order, the films that are there, and counts."""

    rows: list[Row]
    films: list[Film]
    counts: dict[str, int]


def is_release(folder: Path) -> bool:
    """Whether it holds the table or the pictures."""
    return (folder / TABLE).is_file() or child(folder, IMAGES).is_dir()


def read_release(release: Path) -> Release:
    """Images that the table lists; public copies lack some of them.

    Errors: InputError for an incomplete release or damaged tables.
    """
    for missing, there in ((TABLE, IMAGES), (IMAGES, TABLE)):
        if not child(release, missing).exists():
            raise InputError(release, f"found {there}, but no {missing}", _AGAIN)
    rows = read_annotations(release / TABLE)
    names = [row.file_name for row in rows]
    images = child(release, IMAGES)
    pictures = files(images, SUFFIXES)
    path_of, name_of = by_name(pictures, names), example_ids(names)
    if not path_of:
        held = first([path.name for path in pictures])
        raise InputError(
            release / IMAGES,
            f"no image of {TABLE} found; the folder contains {held or 'nothing'}",
            _AGAIN,
        )
    about = _read_about(release)
    films = [
        Film(name_of[name], path_of[name], row, about.get(name))
        for name, row in zip(names, rows, strict=True)
        if name in path_of
    ]
    counts = {
        "rows_without_image": len(rows) - len(films),
        "images_not_listed": len(pictures) - len(set(path_of.values())),
        **skipped({"the release": images}, SUFFIXES),
        **renamed(path_of),
    }
    return Release(rows, films, counts)


def _read_about(release: Path) -> dict[str, About]:
    """Row of Cohen's metadata.csv by file name, where the user has put it there."""
    for path in (release / METADATA, release.parent / METADATA):
        if path.is_file():
            try:
                return read_metadata(path).rows
            except InputError as error:
                hint = "Replace it with metadata.csv of covid-chestxray-dataset, or remove it."
                raise InputError(error.where, error.found, hint) from error
    return {}
