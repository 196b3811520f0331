"""Where the pictures, masks and severity scores of the collection are."""

import collections
from pathlib import Path
from typing import NamedTuple

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
from tfds_builders.covid_chestxray.findings import UNKNOWN, class_of
from tfds_builders.covid_chestxray.severity import Severity, read_severity
from tfds_builders.covid_chestxray.table import TABLE, Row, example_ids, read_metadata

IMAGES = "images"
_SEVERITY = Path("annotations") / "covid-severity-scores.csv"
_MASKS = Path("annotations") / "lungVAE-masks"
_CT_VIEWS = ("Axial", "Coronal")
_AGAIN = "Download the repository again, as a zip file or by git clone."


class Film(NamedTuple):
    """One radiograph of the release, with a finding that has a class."""

    name: str  # the file name without its ending
    path: Path
    label: str
    row: Row
    severity: Severity
    mask: Path | None  # of its lungs


class Release(NamedTuple):
    """All radiographs sorted by name, and counts."""

    edition: str
    films: list[Film]
    counts: dict[str, int]


def is_release(folder: Path) -> bool:
    """Whether it holds the table or the pictures."""
    return (folder / TABLE).is_file() or child(folder, IMAGES).is_dir()


def read_release(release: Path) -> Release:
    """The radiographs of all views.

    Errors: InputError for an incomplete release or damaged tables.
    """
    for missing, there in ((TABLE, IMAGES), (IMAGES, TABLE)):
        if not child(release, missing).exists():
            raise InputError(release, f"found {there}, but no {missing}", _AGAIN)
    metadata = read_metadata(release / TABLE)
    listed = [*metadata.rows, *sorted(metadata.contradicted)]
    images = child(release, IMAGES)
    pictures = files(images, SUFFIXES)
    path_of = by_name(pictures, listed)
    scored = (release / _SEVERITY).is_file()
    severity = read_severity(release / _SEVERITY) if scored else {}
    masks = _masks(release / _MASKS)
    name_of = example_ids(listed)
    left_out = collections.Counter()
    films = []
    for file_name, row in metadata.rows.items():
        reason = _reason(row)
        if not reason and file_name not in path_of:
            reason = "rows_without_image"
        if reason:
            left_out[reason] += 1
            continue
        films.append(
            Film(
                name_of[file_name],
                path_of[file_name],
                class_of(row.finding),
                row,
                severity.get(file_name, Severity()),
                masks.get(Path(file_name).stem),
            )
        )
    if not films:
        held = first([path.name for path in pictures])
        raise InputError(
            release / IMAGES,
            f"no radiograph of {TABLE} found; the folder contains {held or 'nothing'}",
            _AGAIN,
        )
    used = {film.row.file_name for film in films}
    counts = {
        **metadata.counts,
        **dict(sorted(left_out.items())),
        "images_not_listed": len(pictures) - len(set(path_of.values())),
        **skipped({"the release": images}, SUFFIXES),
        **renamed(path_of),
        "severity_without_image": len(severity.keys() - used),
        "tables_missing": int(not scored),
    }
    return Release(metadata.edition, sorted(films), counts)


def _reason(row: Row) -> str:
    """The count of the rows left out like this one; '' where it is kept."""
    if row.folder == "volumes" or row.file_name.lower().endswith((".nii", ".gz")):
        return "ct_volumes_left_out"
    if row.modality.lower() != "x-ray" or row.view in _CT_VIEWS:
        return "ct_slices_left_out"
    if row.finding.lower() in UNKNOWN:
        return "finding_unknown_left_out"
    if class_of(row.finding) is None:
        return f"finding_without_class:{row.finding}"
    return ""


def _masks(folder: Path) -> dict[str, Path]:
    """Lung mask by file name of the picture without its ending."""
    if not folder.is_dir():
        return {}
    return {
        path.stem.removesuffix("_mask"): path
        for path in files(folder, (".png",))
        if path.stem.endswith("_mask")
    }
