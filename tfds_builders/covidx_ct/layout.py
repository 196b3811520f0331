"""From the lists, the table and the folder of a COVIDx CT release to its slices."""

import collections
import os
import re
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.build.listing import folders, skipped
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import SUFFIXES
from tfds_builders.common.limits import read_file
from tfds_builders.common.splits import SPLITS
from tfds_builders.common.tables import first, refuse
from tfds_builders.covidx_ct.metadata import (
    Patient,
    find_patient,
    guess_patient,
    read_metadata,
)

LABELS = ("Normal", "Pneumonia", "COVID-19")  # classes 0, 1, 2 of the lists
_LIST = re.compile(rf"({'|'.join(SPLITS)})(.*COVIDx[-_]?CT.*)\.txt", re.IGNORECASE)
_TABLES = ("metadata.csv", "metadata.txt")
_LEAST_THERE = 0.5  # below that, lists and images are not of one release
_AGAIN = (
    "Copy the list from the release again; a line is 'file class xmin ymin xmax ymax'."
)
_HELP = "See 'Getting the data' in tfds_builders/covidx_ct/README.md."


class Row(NamedTuple):
    """One line of a list."""

    file_name: str
    label: str
    box: tuple[int, int, int, int]  # xmin, ymin, xmax, ymax; pixels of the file


class Slice(NamedTuple):
    """One picture and what lists and table say about it."""

    name: str  # the file name without its ending
    folder: Path
    file_name: str
    label: str
    box: tuple[int, int, int, int]
    patient: str
    about: Patient
    original_split: str

    @property
    def source(self) -> str:
        """Of its patient."""
        return self.about.source

    @property
    def path(self) -> Path:
        """Made on demand: 195,000 paths take 100 MB."""
        return self.folder / self.file_name


def find_lists(folder: Path) -> tuple[str, dict[str, Path]] | None:
    """The version of the newest lists, and the list of each split; None without all.

    A comes before B of the same number: B adds patients whose finding is not verified.
    """
    named = collections.defaultdict(dict)
    for path in sorted(folder.glob("*.txt")):
        if match := _LIST.fullmatch(path.name):
            named[match[2].strip("_- ")][match[1].lower()] = path
    whole = {version: paths for version, paths in named.items() if len(paths) == 3}
    if not whole:
        return None
    version = max(whole, key=_age)
    return version, {split: whole[version][split] for split in SPLITS}


def _age(version: str) -> tuple[int, bool, str]:
    number, letter = _number(version)
    return int(number or 0), letter != "B", version


def _number(version: str) -> tuple[str, str]:
    """('2', 'A') of COVIDx_CT-2A."""
    match = re.search(r"CT[-_]?v?(\d*)([AB]?)", version, re.IGNORECASE)
    return match[1], match[2].upper()


def read_release(release: Path) -> tuple[str, list[Slice], dict[str, int]]:
    """The version, the slices sorted by name, and counts.

    Errors: InputError for broken lines and tables, for lists that contradict each
    other, and where fewer than half of the listed slices are there.
    """
    version, lists = find_lists(release)
    patients, counts = read_metadata(_table(release))
    folder = _image_folder(release, version)
    pictures = _pictures(folder)
    kept, list_counts = _once(release, {s: read_list(p) for s, p in lists.items()})
    slices, slice_counts = _slices(folder, kept, pictures, patients)
    missing = sorted(kept.keys() - pictures)
    if len(slices) < _LEAST_THERE * len(kept):
        raise InputError(
            folder,
            f"{len(missing)} of the {len(kept)} slices in "
            f"{', '.join(path.name for path in lists.values())} are missing: "
            f"{first(missing)}",
            "The release is incomplete, or the lists are of another version "
            f"than the slices: copy both from one release. {_HELP}",
        )
    counts |= list_counts | slice_counts
    counts |= {
        "rows_without_image": len(missing),
        "images_not_listed": len(pictures - kept.keys()),
        **skipped({"the release": folder}, SUFFIXES),
    }
    return version, slices, counts


def _table(release: Path) -> Path:
    for name in _TABLES:
        if (release / name).is_file():
            return release / name
    raise InputError(
        release,
        f"no {_TABLES[0]}",
        f"Put it beside the lists: it names the patient of each slice. {_HELP}",
    )


def _image_folder(release: Path, version: str) -> Path:
    """2A_images for lists of version 2A, or the only folder whose name ends so."""
    named = f"{''.join(_number(version))}_images".lower()
    there = [f for f in folders(release) if f.name.lower().endswith("images")]
    fitting = [folder for folder in there if folder.name.lower() == named] or there
    if len(fitting) != 1:
        inside = first(folder.name for folder in folders(release)) or "none"
        raise InputError(
            release,
            f"{len(fitting)} folders of images instead of one; found: {inside}",
            f"Unpack the images beside the lists, as a folder {named}. {_HELP}",
        )
    return fitting[0]


def _pictures(folder: Path) -> set[str]:
    """Names of its pictures; sorting them as paths would take longer than the rest."""
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    pictures = {name for name in names if name.lower().endswith(SUFFIXES)}
    if not pictures:
        raise InputError(
            folder,
            f"no images; the folder contains {first(sorted(names)) or 'nothing'}",
            f"The release is incomplete: unpack it again. {_HELP}",
        )
    return pictures


def read_list(path: Path) -> list[Row]:
    """The rows of a list, in its order.

    Errors: InputError, naming the lines, for broken rows; for an empty list, and for
    one that is not UTF-8.
    """
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(path, f"not UTF-8 text (byte {error.start})", _AGAIN) from None
    rows, wrong = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        row = parse_row(line)
        if row is not None:
            rows.append(row)
        elif line.strip():
            wrong.append(f"line {number}: {line.strip()!r}")
    refuse(path, wrong, "lines are not 'file class xmin ymin xmax ymax'", _AGAIN)
    if not rows:
        raise InputError(path, "the list is empty", _AGAIN)
    return rows


def parse_row(line: str) -> Row | None:
    """The row of a line; None if it is invalid, or its box is empty."""
    words = line.split()
    if len(words) != 6 or not words[0].lower().endswith(SUFFIXES):
        return None
    if not all(word.isascii() and word.isdecimal() for word in words[1:]):
        return None
    label, *box = map(int, words[1:])
    xmin, ymin, xmax, ymax = box
    if label >= len(LABELS) or xmin >= xmax or ymin >= ymax:
        return None
    return Row(words[0], LABELS[label], (xmin, ymin, xmax, ymax))


def _once(release, rows) -> tuple[dict[str, tuple[str, Row]], dict[str, int]]:
    """Each file name once, with its split; a file in several lists stays in test."""
    kept: dict[str, tuple[str, Row]] = {}
    repeated, in_two, wrong = 0, set(), set()
    for split in ("test", "val", "train"):
        for row in rows[split]:
            at, other = kept.setdefault(row.file_name, (split, row))
            if other is row:
                continue
            repeated += at == split
            if at != split:
                in_two.add(row.file_name)
            if other != row:
                wrong.add(row.file_name)
    refuse(
        release,
        sorted(wrong),
        "slices are listed with two classes or boxes",
        "Copy the lists from the release again.",
    )
    return kept, {
        "rows_repeated": repeated,
        "images_in_several_lists": len(in_two),
    }


def _slices(folder, kept, pictures, patients) -> tuple[list[Slice], dict[str, int]]:
    slices, unknown, disagree = [], 0, 0
    splits_of = collections.defaultdict(set)
    for file_name, (split, row) in kept.items():
        stem = file_name.rsplit(".", 1)[0]
        patient = find_patient(stem, patients)
        unknown += patient is None
        patient = guess_patient(stem) if patient is None else patient
        splits_of[patient].add(split)
        about = patients.get(patient, Patient())
        disagree += about.finding not in ("", row.label)
        if file_name in pictures:
            slices.append(
                Slice(
                    stem, folder, file_name, row.label, row.box, patient, about, split
                )
            )
    slices.sort(key=lambda piece: piece.file_name)
    stems = collections.Counter(piece.name for piece in slices)
    refuse(
        folder,
        (name for name, n in stems.items() if n > 1),
        "listed slices have the same name but for the extension",
        "Copy the release again: all its slices are .png.",
    )
    return slices, {
        "patients_from_file_names": unknown,
        "class_not_finding": disagree,
        "patients_in_several_lists": sum(
            len(splits) > 1 for splits in splits_of.values()
        ),
        "patients_without_image": len(patients.keys() - splits_of),
    }
