"""Where the files of COVID-XRay-5K are, and what their names mean."""

import re
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.articles import article_of
from tfds_builders.common.build.listing import child, files, folders, skipped
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import SUFFIXES
from tfds_builders.common.tables import first, refuse

PARTS = ("train", "test")
CLASSES = ("covid", "non")  # the release's own names, in the order of its programs
# CheXpert's train/patient00028/study2/view1_frontal.jpg, made flat: in train behind
# a finding, Atelectasis-patient00028-study2-view1_frontal, in test without.
_CHEXPERT = re.compile(r"(?:(.+)-)?(patient\d+)-study\d+-view\d+_[a-z]+")
_UNPACK = (
    "Unpack data_upload_v3.zip again, into a new folder: see 'Getting the data' in "
    "tfds_builders/covid_xray_5k/README.md."
)


class Image(NamedTuple):
    """One picture, and what its place and its name say."""

    name: str  # 'train/covid/FILE' without the ending: names recur in train and test
    path: Path
    label: str  # of CLASSES
    part: str  # of PARTS
    finding: str  # of CheXpert, '' where the name has none
    patient: str  # or the article; '' where the name does not tell


def is_release(folder: Path) -> bool:
    """Whether it holds any of the four folders of pictures."""
    return any(_place(folder, p, c).is_dir() for p in PARTS for c in CLASSES)


def read_release(release: Path) -> tuple[list[Image], dict[str, int]]:
    """All images sorted by name, and what did not fit together.

    Errors: InputError for missing or empty folders, folders that the release does
    not have, and names that appear twice in a folder.
    """
    refuse(
        release,
        (
            str(folder.relative_to(release))
            for folder in _folders(release)
            if folder
            not in [_place(release, p, label) for p in PARTS for label in CLASSES]
        ),
        "unexpected folders of images",
        "Films may have been moved there, e.g. to val for its training program: move "
        f"them back. Or: {_UNPACK}",
    )
    images = []
    for part in PARTS:
        for label in CLASSES:
            images += _images(_place(release, part, label), part, label)
    unnamed = sum(image.label == "non" and not image.patient for image in images)
    counts = {
        "names_without_patient": unnamed,
        **skipped(
            {f"{p}/{c}": _place(release, p, c) for p in PARTS for c in CLASSES},
            SUFFIXES,
        ),
    }
    return sorted(images), counts


def _place(release: Path, part: str, label: str) -> Path:
    return child(child(release, part), label)


def _folders(release: Path) -> list[Path]:
    """Folders that hold pictures, up to two levels inside."""
    level = folders(release)
    inside = level + [child for folder in level for child in folders(folder)]
    return [folder for folder in inside if files(folder, SUFFIXES)]


def _images(folder: Path, part: str, label: str) -> list[Image]:
    if not folder.is_dir():
        raise InputError(folder.parent.parent, f"no folder {part}/{label}", _UNPACK)
    found: dict[str, Path] = {}
    for path in files(folder, SUFFIXES):
        if path.stem in found:
            raise InputError(
                path,
                f"a second image of this name, beside {found[path.stem].name}",
                "Keep only the image of the release.",
            )
        found[path.stem] = path
    if not found:
        inside = first(path.name for path in sorted(folder.iterdir())) or "nothing"
        raise InputError(folder, f"no images; the folder contains {inside}", _UNPACK)
    return [
        Image(f"{part}/{label}/{stem}", path, label, part, *_named(stem, label))
        for stem, path in found.items()
    ]


def _named(stem: str, label: str) -> tuple[str, str]:
    """Finding and patient that a file name holds."""
    if label == "covid":
        return "", article_of(stem)
    chexpert = _CHEXPERT.fullmatch(stem)
    return (chexpert[1] or "", chexpert[2]) if chexpert else ("", "")
