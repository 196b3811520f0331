"""What an audit can find, by name: leakage, and what else to look into."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cxr_jax.audits.data import copies
from cxr_jax.audits.data.copies import Bundle
from cxr_jax.audits.data.dataset import Dataset
from cxr_jax.audits.text_table import count
from cxr_jax.data.split import patients_in_both
from tfds_builders.common.errors import InputError
from tfds_builders.common.tables import first

# With one of these a figure on the test set is not what it seems: exit code 1.
LEAKS = (
    "patients_across_splits",
    "identical_images_across_splits",
    "near_duplicates_across_splits",
    "identical_images_in_external_test",
    "near_duplicates_in_external_test",
)
# To be known of; whether they do harm depends on what is done with the data.
WARNINGS = (
    "identical_images_across_datasets",
    "near_duplicates_across_datasets",
    "identical_images_within_a_split",
    "near_duplicates_within_a_split",
    "copies_with_different_labels",
    "blank_images",
)
TRAINED_ON = ("train", "val")  # or selected on


class Finding(NamedTuple):
    """Something that was found, in words and in numbers.

    Attributes:
      name: of LEAKS or WARNINGS.
      where: the dataset, or two of them.
      text: what was found, as a clause that begins with a number.
      images: how many images are concerned.
      allowed: the config names it as known.
    """

    name: str
    where: str
    text: str
    images: int
    allowed: bool = False

    @property
    def leak(self) -> bool:
        """It is a leak that was not allowed: the audit ends with exit code 1."""
        return self.name in LEAKS and not self.allowed


def check_allowed(names: Sequence[str]) -> None:
    """Refuses a name that is none of LEAKS."""
    for name in names:
        if name not in LEAKS:
            found = "only a warning" if name in WARNINGS else "unknown"
            raise InputError(
                "config.audit.allow",
                f"{name!r} is {found}",
                f"these can be allowed: {', '.join(LEAKS)}",
            )


def allow(findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
    """The findings, those of `names` marked; what weighs most comes first."""
    marked = [finding._replace(allowed=finding.name in names) for finding in findings]
    order = (*LEAKS, *WARNINGS)
    return sorted(marked, key=lambda f: (not f.leak, order.index(f.name)))


def shared_patients(dataset: Dataset) -> list[Finding]:
    """Patients, or what stands for them, in two splits."""
    found = []
    for (a, one), (b, other) in itertools.combinations(dataset.splits.items(), 2):
        shared = patients_in_both(one, other)
        if shared:
            theirs = set(one.table["patient_id"])
            images = sum(patient in theirs for patient in other.table["patient_id"])
            text = (
                f"{count(shared, dataset.unit)} of {b} in {a} too "
                f"({_of(images, other.size)})"
            )
            found.append(Finding("patients_across_splits", dataset.name, text, images))
    return found


def across_splits(
    dataset: Dataset, bundles: list[Bundle], images: slice
) -> list[Finding]:
    """Copies within the splits of a dataset and between them.

    Args:
      bundles: of `copies.find`, over all datasets.
      images: the numbers of this dataset's images among all.
    """
    names = list(dataset.splits)
    part = _nowhere(bundles, images.stop)
    part[images] = [names.index(split) for split in dataset.split]
    found = []
    for (a, b), overlap in copies.overlaps(bundles, part).items():
        # Told of the later split: test images that were seen in train.
        if a < b:
            continue
        kind, there = "across_splits", names[b]
        if a == b:
            kind, there = "within_a_split", "the same split"
        told = f"of {names[a]} with a copy in {there}"
        total = dataset.splits[names[a]].size
        found += _findings(kind, dataset.name, total, told, *overlap)
    return found


def across_datasets(
    one: Dataset, other: Dataset, bundles: list[Bundle], images: tuple[slice, slice]
) -> list[Finding]:
    """Copies of two datasets.

    It is leakage where `other` is an external test set and a copy of one of its
    images is in train or val of `one`; the rest is a warning.
    """
    part = _nowhere(bundles, max(piece.stop for piece in images))
    part[images[0]] = [int(split not in TRAINED_ON) for split in one.split]
    part[images[1]] = [3 - int(split == other.tested) for split in other.split]
    overlaps = copies.overlaps(bundles, part)
    nothing = copies.Overlap(np.array([], int), np.array([], int))
    where = f"{other.name} and {one.name}"
    found, leaking = [], nothing
    if other.tested:
        leaking = overlaps.get((2, 0), nothing)
        told = f"of {other.name}:{other.tested} with a copy in train or val"
        total = int((other.split == other.tested).sum())
        found = _findings("in_external_test", where, total, told, *leaking)
    rest = [
        np.setdiff1d(
            np.concatenate(
                [overlaps.get((a, b), nothing)[kind] for a in (2, 3) for b in (0, 1)]
            ),
            np.concatenate(leaking),
        )
        for kind in (0, 1)
    ]
    rest[1] = np.setdiff1d(rest[1], rest[0])
    more = ", besides" if len(np.concatenate(leaking)) else ""
    told = f"of {other.name} with a copy in {one.name}{more}"
    return found + _findings("across_datasets", where, other.size, told, *rest)


def different_labels(
    dataset: Dataset, bundles: list[Bundle], images: slice
) -> list[Finding]:
    """Copies within a dataset whose labels, or scores, are not the same."""
    target, concerned = dataset.target, set()
    value = target.index if target.score is None else target.score
    for bundle in bundles:
        together = np.union1d(bundle.one, bundle.other)
        inside = together[(together >= images.start) & (together < images.stop)]
        known = inside[target.index[inside - images.start] >= 0]
        if len(np.unique(value[known - images.start])) > 1:
            concerned.update(known.tolist())
    if not concerned:
        return []
    text = f"{_of(len(concerned), dataset.size)} with a copy of another {target.name}"
    return [Finding("copies_with_different_labels", dataset.name, text, len(concerned))]


def blank_images(dataset: Dataset, blank: np.ndarray) -> list[Finding]:
    """Pictures of a single value."""
    if not blank.any():
        return []
    names = np.asarray(dataset.table["example_id"])[blank]
    text = (
        f"{_of(len(names), dataset.size)} of a single grey value: "
        f"{first(sorted(names))}"
    )
    return [Finding("blank_images", dataset.name, text, len(names))]


def _nowhere(bundles: list[Bundle], least: int) -> np.ndarray:
    """int [N] of -1, long enough for every image of the bundles."""
    last = max((int(max(b.one[-1], b.other[-1])) for b in bundles), default=-1)
    return np.full(max(least, last + 1), -1)


def _findings(kind, where, total, told, identical, near) -> list[Finding]:
    return [
        Finding(
            f"{what}_{kind}", where, f"{_of(len(images), total)} {told}", len(images)
        )
        for what, images in (("identical_images", identical), ("near_duplicates", near))
        if len(images)
    ]


def _of(images: int, total: int) -> str:
    return f"{images:,} of {count(total, 'images')}"
