"""From the lists and folders of a COVIDx release to its images."""

import collections
from collections.abc import Sequence
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
from tfds_builders.common.splits import SPLITS
from tfds_builders.common.tables import first
from tfds_builders.covidx_cxr.lists import Lists, Row, find_lists, labels_of, read_list

# The label set of a list follows its version; each has configs of its own.
BINARY = ("negative", "positive")
THREE_CLASSES = ("normal", "pneumonia", "COVID-19")
SEVERITY = ("level1", "level2")
LABELS = {"": BINARY, "three_classes": THREE_CLASSES, "severity": SEVERITY}

_MISSPELT = {"rnsa": "rsna"}
_LEAST_THERE = 0.5  # below that, lists and images are not of one release
_HELP = "See 'Getting the data' in tfds_builders/covidx_cxr/README.md."


class Image(NamedTuple):
    """One picture and what the lists say about it."""

    name: str  # the file name without its ending, where no other has the same
    path: Path
    label: str
    source: str  # '' where the list has none
    patient: str
    original_split: str


class Release(NamedTuple):
    """Images sorted by name, whether the release has a list of val, and counts."""

    version: str
    images: list[Image]
    has_val: bool
    counts: dict[str, int]


def is_release(folder: Path) -> bool:
    """Whether it, or its `labels`, holds lists of train and test."""
    return bool(find_lists(folder))


def read_release(release: Path, labels: Sequence[str]) -> Release:
    """The images of the newest lists that have these labels.

    Listed images that are missing, and images that no list names, are counted: lists
    and files never matched exactly.

    Errors: InputError if no lists have these labels, lines are broken, or more than
    half of the listed images are missing.
    """
    lists = _newest(release, labels)
    rows = {split: read_list(path, labels) for split, path in lists.paths.items()}
    places, not_images = _pictures(release)
    kept, counts = _once(rows)
    images, found_counts = _found(release, lists, kept, places)
    counts |= found_counts
    counts |= _patients_and_sources(rows, labels)
    listed = {row.file_name for some in rows.values() for row in some}
    pictures = [path for place in places.values() for path in place]
    meant = {path.name for path in by_name(pictures, listed).values()}
    meant |= listed | {image.path.name for image in images}
    counts["images_not_listed"] = len({path.name for path in pictures} - meant)
    counts |= not_images
    return Release(lists.version or "without a version", images, "val" in rows, counts)


def _newest(release: Path, labels: Sequence[str]) -> Lists:
    there = [(lists, _labels(lists)) for lists in find_lists(release)]
    chosen = next((lists for lists, used in there if used == labels), None)
    if chosen is None:
        config = {used: name for name, used in LABELS.items()}
        known = [(lists, used) for lists, used in there if used]
        listed = first(
            f"{lists.version or 'train.txt, test.txt'} ({', '.join(used)}: covidx_cxr/"
            f"{'_'.join(filter(None, ['512', config[used]]))})"
            for lists, used in known
        )
        raise InputError(
            release,
            f"no lists with the labels {', '.join(labels)}; found: {listed or 'none'}",
            "Build the config that is named, or copy other lists of COVID-Net (folder "
            f"labels) into this folder. {_HELP}",
        )
    return chosen


def _labels(lists: Lists) -> tuple[str, ...] | None:
    """The label set of a version; None for one that no config reads."""
    used = labels_of(lists.paths["train"], LABELS.values())
    # Early severity lists say negative and positive, of patients who all have COVID-19.
    if "sev" in lists.version.lower() and used != SEVERITY:
        return None
    return used


def _pictures(release: Path) -> tuple[dict[str, list[Path]], dict[str, int]]:
    """Paths in each split's folder; and counts of the files that are no pictures.

    The folders lie beside the lists (Kaggle) or in `data` (COVID-Net's scripts).
    """
    places: dict[str, list[Path]] = {}
    found: dict[str, Path] = {}
    for split in SPLITS:
        for folder in (child(release, split), child(release / "data", split)):
            if folder.is_dir() and split not in places:
                places[split] = files(folder, SUFFIXES)
                found[split] = folder
    for split in ("train", "test"):
        if not places.get(split):
            inside = first(path.name for path in folders(release)) or "none"
            missing = "no images in folder" if split in places else "no folder"
            raise InputError(
                release,
                f"found lists, but {missing} {split} or data/{split}; folders: {inside}",
                f"The release is incomplete: unpack it again. {_HELP}",
            )
    return places, skipped(found, SUFFIXES)


def _once(rows: dict[str, list[Row]]) -> tuple[dict[str, tuple[str, Row]], dict]:
    """Each file name once, with its split, and counts.

    A file that several lists name stays in test, so that it is not trained on.
    """
    listed = collections.defaultdict(list)
    for split in ("test", "val", "train"):
        for row in rows.get(split, ()):
            listed[row.file_name].append((split, row))
    kept = {
        name: found[0]
        for name, found in listed.items()
        if len({row.label for _, row in found}) == 1
    }
    in_splits = [{split for split, _ in found} for found in listed.values()]
    repeated = sum(len(found) for found in listed.values()) - sum(map(len, in_splits))
    return kept, {
        "rows_repeated": repeated,
        "images_in_several_lists": sum(len(splits) > 1 for splits in in_splits),
        "labels_contradicted": len(listed) - len(kept),
        "sources_misspelt": sum(row.source in _MISSPELT for _, row in kept.values()),
        "images_without_source": sum(not row.source for _, row in kept.values()),
    }


def _found(release, lists, kept, places) -> tuple[list[Image], dict[str, int]]:
    """The listed images that are on disk, in the folder of any split, and counts."""
    path_of: dict[str, Path] = {}
    for split in places:
        names = (name for name, (listed_in, _) in kept.items() if listed_in == split)
        path_of |= by_name(places[split], names)
    used = set(path_of.values())
    others = [p for place in places.values() for p in place if p not in used]
    # A name that lies in two other folders is read from the first.
    others = list({path.name: path for path in reversed(others)}.values())
    elsewhere = by_name(others, (name for name in kept if name not in path_of))
    path_of |= elsewhere
    stems = collections.Counter(path.stem for path in path_of.values())
    images = [
        Image(
            path.stem if stems[path.stem] == 1 else path.name,
            path,
            row.label,
            _MISSPELT.get(row.source) or row.source,
            row.patient,
            split,
        )
        for file_name, (split, row) in kept.items()
        if (path := path_of.get(file_name))
    ]
    missing = len(kept) - len(images)
    if len(images) < _LEAST_THERE * len(kept):
        gone = sorted(kept.keys() - path_of.keys())
        raise InputError(
            release,
            f"{missing} of the {len(kept)} images in "
            f"{', '.join(path.name for path in lists.paths.values())} are missing: "
            f"{first(gone)}",
            "The release is incomplete, or the lists are of another version "
            f"than the images: copy both from one release. {_HELP}",
        )
    return sorted(images), {
        "rows_without_image": missing,
        "images_in_other_folder": len(elsewhere),
        **renamed(path_of),
    }


def _patients_and_sources(rows, labels) -> dict[str, int]:
    """How the release's own split leaks, and whether its test set reveals the source."""
    splits_of = collections.defaultdict(set)
    for split, listed in rows.items():
        for row in listed:
            splits_of[row.patient].add(split)
    counts = {
        "patients_in_several_lists": sum(
            len(splits) > 1 for splits in splits_of.values()
        )
    }
    for label in labels:
        sources = {row.source for row in rows["test"] if row.label == label}
        counts[f"test_sources:{label}"] = len(sources - {""})
    labels_of_source = collections.defaultdict(set)
    for row in rows["test"]:
        labels_of_source[row.source].add(row.label)
    counts["test_images_told_by_source"] = sum(
        bool(row.source) and len(labels_of_source[row.source]) == 1
        for row in rows["test"]
    )
    return counts
