"""Where the files are in each release of the COVID-19 Radiography Database."""

import collections
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.build.listing import child, files, folders, skipped
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import SUFFIXES
from tfds_builders.common.tables import first, read_xlsx, refuse

CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
_OLD = ("COVID-19", "NORMAL")  # class folders of v1 to v3
_NEW = "lung_opacity"  # only since v4, in lower case
_FETCH = (
    "Download the current release (version 5, COVID-19_Radiography_Dataset): see "
    "'Getting the data' in tfds_builders/covid_radiography/README.md."
)


class Image(NamedTuple):
    """One picture and what the release says about it."""

    name: str  # the file name without its ending
    path: Path
    label: str
    source: str  # url, '' where the tables have no row
    mask: Path | None  # of its lungs, None where the release has none


def is_release(folder: Path) -> bool:
    """Whether a folder holds class folders of any release."""
    known = {name.lower() for name in CLASSES + _OLD}
    return not known.isdisjoint(name.lower() for name in _names(folder))


def read_release(
    release: Path, partial: bool = False
) -> tuple[str, list[Image], dict[str, int]]:
    """The release's version, its images sorted by name, and counts.

    partial: classes may be missing.

    Errors: InputError for releases before v4, missing or empty class folders, and
    names that appear twice.
    """
    there = _names(release)
    lower = {name.lower() for name in there}
    if "COVID-19" in there and "COVID" not in there:
        _refuse_old(release, "1", there)
    if "NORMAL" in there and "Normal" not in there and _NEW not in lower:
        _refuse_old(release, "2 or 3", there)
    missing = [name for name in CLASSES if not child(release, name).is_dir()]
    if missing and not partial:
        raise InputError(
            release,
            f"no class folder {', '.join(missing)}; found: {', '.join(there)}",
            "The release is incomplete: unpack it again. " + _FETCH,
        )
    versions, images = set(), []
    counts = collections.Counter(
        images_without_row=0,
        rows_without_image=0,
        tables_missing=0,
        files_not_images=0,
    )
    for label in (name for name in CLASSES if name not in missing):
        version, folder = _folder(child(release, label))
        pictures, masks = _pictures(folder), _masks(child(release, label))
        versions.add(version)
        counts.update(skipped({label: folder}, SUFFIXES))
        table = child(release, f"{label}.metadata.xlsx")
        counts["tables_missing"] += not table.is_file()
        sources = _sources(table) if table.is_file() else {}
        stems = {path.stem.lower() for path in pictures}
        counts["images_without_row"] += len(stems - sources.keys())
        counts["rows_without_image"] += len(sources.keys() - stems)
        images += [
            Image(
                path.stem,
                path,
                label,
                sources.get(path.stem.lower(), ""),
                masks.get(path.stem),
            )
            for path in pictures
        ]
    images.sort()
    refuse(
        release,
        (
            f"{a.name} ({a.path.relative_to(release)}, {b.path.relative_to(release)})"
            for a, b in pairwise(images)
            if a.name == b.name
        ),
        "images have the same name as another",
        "Two releases may be in one folder: unpack one into a new folder.",
    )
    if partial:
        counts["class_folders_missing"] = len(missing)
    return " and ".join(sorted(versions)), images, dict(counts)


def _folder(folder: Path) -> tuple[str, Path]:
    """v4 has the pictures in the class folder; v5 in images/, beside masks/."""
    if not child(folder, "images").is_dir():
        return "v4", folder
    refuse(
        folder,
        [path.name for path in files(folder, SUFFIXES)],
        "images are beside the folder images",
        "Two releases are in one folder: unpack one into a new folder.",
    )
    return "v5", child(folder, "images")


def _pictures(folder: Path) -> list[Path]:
    pictures = files(folder, SUFFIXES)
    if not pictures:
        held = sorted(path.name for path in folder.iterdir())
        raise InputError(
            folder,
            f"no images; the folder contains {first(held) or 'nothing'}",
            "The release is incomplete: unpack it again.",
        )
    return pictures


def with_masks(release: Path, images: list[Image]) -> list[Image]:
    """Those that have a lung mask. Errors: InputError where none has."""
    masked = [image for image in images if image.mask]
    if not masked:
        raise InputError(
            release,
            "no image has a mask (an image of the same name in masks/)",
            f"Version 5 has masks. {_FETCH}",
        )
    return masked


def walked(images: list[Image]) -> list[Image]:
    """The images, and their masks as if they were images, by class and file name."""
    masks = [
        image._replace(name=f"{image.name}-mask", path=image.mask, mask=None)
        for image in images
        if image.mask
    ]
    return sorted([*images, *masks], key=lambda each: (each.label, each.name))


def _masks(folder: Path) -> dict[str, Path]:
    masks = child(folder, "masks")
    if not masks.is_dir():
        return {}
    return {path.stem: path for path in files(masks, SUFFIXES)}


def _sources(table: Path) -> dict[str, str]:
    """Url by file name in lower case: NORMAL-1 in the table is Normal-1.png on disk."""
    rows = read_xlsx(table, ("FILE NAME", "URL"))
    return {
        row["FILE NAME"].lower().removesuffix(".png"): row["URL"]
        for row in rows
        if row["FILE NAME"]
    }


def _refuse_old(release, version, there) -> None:
    raise InputError(
        release,
        f"version {version} of the database (class folders {', '.join(there)})",
        f"It has fewer classes and mixed sizes, and is not supported. {_FETCH}",
    )


def _names(folder: Path) -> list[str]:
    return [path.name for path in folders(folder)]
