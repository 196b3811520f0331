"""The text lists of a COVIDx release: their versions and their lines."""

import collections
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.errors import InputError
from tfds_builders.common.images import SUFFIXES
from tfds_builders.common.limits import read_file
from tfds_builders.common.splits import SPLITS
from tfds_builders.common.tables import refuse

_LIST = re.compile(rf"({'|'.join(SPLITS)})(.*)\.txt", re.IGNORECASE)
# COVIDx CT has lists of the same kind beside its slices.
_OTHER = re.compile(r"covidx[-_]?ct", re.IGNORECASE)
_AGAIN = "Copy the list from the release again; a line is 'patient file label source'."


class Lists(NamedTuple):
    """The lists of one version: train, test, and val where there is one."""

    version: str  # what their names have in common, as COVIDx9B; may be empty
    paths: dict[str, Path]  # by split


class Row(NamedTuple):
    """One line of a list."""

    patient: str
    file_name: str
    label: str
    source: str  # '' in lists of three columns


def find_lists(folder: Path) -> list[Lists]:
    """All versions with a list of train and one of test, the newest first.

    They lie in the folder or in its `labels`; the folder's own come first. Newest are
    train.txt and test.txt without a version, which Kaggle's release has for its own
    images, then CXR-4, CXR-3, then COVIDx9 to COVIDx1, then any other name.
    """
    found: dict[str, Lists] = {}
    for place in (folder, folder / "labels"):
        named = collections.defaultdict(dict)  # {version: {split: path}}
        for path in sorted(place.glob("*.txt")):
            match = _LIST.fullmatch(path.name)
            if match and not _OTHER.search(path.name):
                named[match[2].strip("_- ")][match[1].lower()] = path
        for version, paths in named.items():
            if {"train", "test"} <= paths.keys() and version not in found:
                ordered = {split: paths[split] for split in SPLITS if split in paths}
                found[version] = Lists(version, ordered)
    return sorted(found.values(), key=lambda lists: _age(lists.version), reverse=True)


def _age(version: str) -> tuple[int, int, str]:
    """Sorts versions from the oldest to the newest."""
    if not version:
        return 3, 0, version
    if match := re.search(r"CXR-?(\d+)", version, re.IGNORECASE):
        return 2, int(match[1]), version
    if match := re.match(r"COVIDx[-_]?(\d*)", version, re.IGNORECASE):
        return 1, int(match[1] or 1), version
    return 0, 0, version


def read_list(path: Path, labels: Iterable[str]) -> list[Row]:
    """The rows of a list, in its order.

    Errors: InputError, naming the lines, for rows that hold no label or no picture,
    for an empty list, and for one that is not UTF-8.
    """
    lines = _lines(path)
    rows = [parse_row(line, labels) for _, line in lines]
    refuse(
        path,
        (
            f"line {number}: {line.strip()!r}"
            for (number, line), row in zip(lines, rows, strict=True)
            if row is None
        ),
        f"lines are not 'patient file label source' with a label {_any(labels)}",
        _AGAIN,
    )
    return rows


def labels_of(path: Path, known: Iterable[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The label set of the first valid row of a list; None without one."""
    return next(
        (
            labels
            for _, line in _lines(path)
            for labels in known
            if parse_row(line, labels)
        ),
        None,
    )


def parse_row(line: str, labels: Iterable[str]) -> Row | None:
    """The row of a line, read from the right; None if it is invalid.

    A patient id may have spaces ('COVID 1 COVID(1).png positive sirm'), and some lists
    have no source. The label is therefore the last word or the one before it, and the
    file name, which has no spaces, stands in front of it. Some lists name files without
    their ending; then no other word may be the name of a picture.
    """
    words, rows = line.split(), []
    for after in (0, 1):
        head = words[: len(words) - after]
        if len(head) < 3 or head[-1] not in labels:
            continue
        source = words[-1] if after else ""
        row = Row(" ".join(head[:-2]), head[-2], head[-1], source)
        if _is_picture(row.file_name):
            return row
        rows.append(row)
    has_picture = any(map(_is_picture, words))
    return rows[0] if len(rows) == 1 and not has_picture else None


def _is_picture(word: str) -> bool:
    return word.lower().endswith(SUFFIXES)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, and their numbers from 1."""
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(path, f"not UTF-8 text (byte {error.start})", _AGAIN) from None
    lines = [
        (number, line)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    if not lines:
        raise InputError(path, "the list is empty", _AGAIN)
    return lines


def _any(labels) -> str:
    return " or ".join(labels)
