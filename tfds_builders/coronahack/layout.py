"""Where the files of CoronaHack are: in a folder within a folder of the same name."""

from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.build.listing import (
    by_name,
    child,
    files,
    folders,
    renamed,
    skipped,
)
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import SUFFIXES
from tfds_builders.common.tables import first
from tfds_builders.coronahack.file_names import Origin, origin_of
from tfds_builders.coronahack.table import PARTS, TABLE, Row, read_table

FOLDER = "Coronahack-Chest-XRay-Dataset"
_UNPACK = (
    "Unpack the whole archive again: see 'Getting the data' in "
    "tfds_builders/coronahack/README.md."
)


class Image(NamedTuple):
    """One picture with its row, and what its name says."""

    name: str  # the file name without its ending
    path: Path
    row: Row
    origin: Origin

    @property
    def label(self) -> str:
        """Its class."""
        return self.row.diagnosis


def is_release(folder: Path) -> bool:
    """Whether it holds the table, or is or holds the pictures' folder."""
    there = (folder / TABLE).is_file(), (folder / FOLDER).is_dir()
    return any(there) or folder.name == FOLDER


def read_release(release: Path) -> tuple[list[Image], dict[str, int]]:
    """Images that have a row, sorted by name, and counts.

    Errors: InputError if the table or a folder is missing, or they do not match.
    """
    table = release / TABLE
    if not table.is_file():
        above = [p for p in release.absolute().parents[:2] if (p / TABLE).is_file()]
        hint = f"Pass the folder {above[0]}, which contains both." if above else _UNPACK
        raise InputError(release, f"no {TABLE} beside the folder of images", hint)
    rows = {(row.part, row.file_name): row for row in read_table(table)}
    folder = _folder(release)
    pictures = _pictures(folder)
    images, renamed_files = [], 0
    for part in PARTS:
        names = [name for of_part, name in rows if of_part == part]
        found = by_name([p for key, p in pictures.items() if key[0] == part], names)
        images += [
            Image(path.stem, path, rows[part, name], origin_of(path.stem))
            for name, path in found.items()
        ]
        renamed_files += sum(renamed(found).values())
    if not images:
        part, name = min(pictures)
        raise InputError(
            table,
            f"lists none of the {len(pictures)} images, e.g. {name} in {part.lower()}",
            f"Table and images are from different releases. {_UNPACK}",
        )
    counts = {
        "images_not_listed": len(pictures) - len(images),
        "rows_without_image": len(rows) - len(images),
        **skipped({p.lower(): child(folder, p.lower()) for p in PARTS}, SUFFIXES),
        "names_unlike_files": renamed_files,
    }
    return sorted(images), counts


def _folder(release: Path) -> Path:
    """The folder of `train` and `test`; some copies lack one level, or two."""
    candidates = (release / FOLDER / FOLDER, release / FOLDER, release)
    wanted = {part.lower() for part in PARTS}
    found = {
        folder: {f.name.lower() for f in folders(folder)} & wanted
        for folder in candidates
        if folder.is_dir()
    }
    folder = max(found, key=lambda folder: len(found[folder]))
    missing = sorted(wanted - found[folder])
    if missing:
        inside = first(f.name for f in folders(folder)) or "no folder"
        raise InputError(
            folder, f"no folder {first(missing)}; found: {inside}", _UNPACK
        )
    return folder


def _pictures(folder: Path) -> dict[tuple[str, str], Path]:
    """By part and file name, as in the table."""
    found = {}
    for part in PARTS:
        pictures = files(child(folder, part.lower()), SUFFIXES)
        if not pictures:
            raise InputError(
                folder / part.lower(), "the folder contains no images", _UNPACK
            )
        found |= {(part, path.name): path for path in pictures}
    return found
