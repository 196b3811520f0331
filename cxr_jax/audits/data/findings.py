"""What an audit of a dataset can find: leakage, and what else to look into."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from cxr_jax.audits import verdicts
from cxr_jax.audits.data.dataset import Dataset
from cxr_jax.audits.verdicts import CARE, STOP, Verdict, verdict
from cxr_jax.data import copies
from cxr_jax.data.copies import Bundle
from cxr_jax.data.split import known_patients, patients_in_both
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
TRAINED_ON = ("train", "val")  # or selected on


def check_allowed(names: Sequence[str]) -> None:
    """Refuses a name that is none of LEAKS."""
    for name in names:
        if name not in LEAKS:
            found = "only a warning" if name in verdicts.KINDS else "unknown"
            raise InputError(
                "config.audit.allow",
                f"{name!r} is {found}",
                f"these can be allowed: {', '.join(LEAKS)}",
            )


def is_leak(found: Verdict) -> bool:
    """It is leakage that was not allowed: the audit ends with exit code 1."""
    return found.kind in LEAKS and found.severity == STOP


def allow(found: Sequence[Verdict], names: Sequence[str]) -> list[Verdict]:
    """The verdicts, leaks of `names` lowered to care; what weighs most comes first."""
    marked = [
        each._replace(severity=CARE, values={**each.values, "allowed": True})
        if each.kind in names
        else each
        for each in found
    ]
    order = list(verdicts.KINDS)
    marked.sort(key=lambda each: order.index(each.kind))
    return verdicts.by_severity(marked)


def shared_patients(dataset: Dataset) -> list[Verdict]:
    """Patients, or what stands for them, in two splits."""
    found = []
    for (a, one), (b, other) in itertools.combinations(dataset.splits.items(), 2):
        shared = patients_in_both(one, other)
        if shared:
            theirs = set(one.table["patient_id"])
            images = sum(patient in theirs for patient in other.table["patient_id"])
            found.append(
                verdict(
                    "patients_across_splits", dataset=dataset.name, split=b,
                    other_split=a, patients=shared, unit=dataset.unit, images=images,
                    of=other.size,
                )
            )  # fmt: skip
    return found


def across_splits(
    dataset: Dataset, bundles: list[Bundle], images: slice
) -> list[Verdict]:
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
        # Of the later split: test images that were seen in train.
        if a < b:
            continue
        values = {"dataset": dataset.name, "split": names[a]}
        total = dataset.splits[names[a]].size
        if a == b:
            found += _copied("within_a_split", overlap, total, **values)
        else:
            found += _copied(
                "across_splits", overlap, total, **values, other_split=names[b]
            )
    return found


def across_datasets(
    one: Dataset, other: Dataset, bundles: list[Bundle], images: tuple[slice, slice]
) -> list[Verdict]:
    """Copies of two datasets.

    It is leakage where `other` is an external test set and a copy of one of its
    images is in train or val of `one`; the rest is a warning.
    """
    part = _nowhere(bundles, max(piece.stop for piece in images))
    part[images[0]] = [int(split not in TRAINED_ON) for split in one.split]
    part[images[1]] = [3 - int(split == other.tested) for split in other.split]
    overlaps = copies.overlaps(bundles, part)
    nothing = copies.Overlap(np.array([], int), np.array([], int))
    values = {"dataset": other.name, "other": one.name}
    found, leaking = [], nothing
    if other.tested:
        leaking = overlaps.get((2, 0), nothing)
        total = int((other.split == other.tested).sum())
        found = _copied(
            "in_external_test", leaking, total, **values, split=other.tested
        )
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
    values["besides"] = bool(found)
    return found + _copied("across_datasets", rest, other.size, **values)


def different_labels(
    dataset: Dataset, bundles: list[Bundle], images: slice
) -> list[Verdict]:
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
    return [
        verdict(
            "copies_with_different_labels", dataset=dataset.name, target=target.name,
            images=len(concerned), of=dataset.size,
        )
    ]  # fmt: skip


def blank_images(dataset: Dataset, blank: np.ndarray) -> list[Verdict]:
    """Pictures of a single value."""
    if not blank.any():
        return []
    names = np.asarray(dataset.table["example_id"])[blank]
    return [
        verdict(
            "blank_images", dataset=dataset.name, images=len(names), of=dataset.size,
            examples=first(sorted(names)),
        )
    ]  # fmt: skip


def patients_unknown(found: Sequence[Verdict]) -> bool:
    """Whether patients of some dataset might leak unseen: not all of them are known."""
    return any(each.kind in ("patients_unnamed", "patients_mixed") for each in found)


def of_dataset(dataset: Dataset) -> list[Verdict]:
    """What its patients and films are, where they are not patients and films."""
    found = []
    known = known_patients(dataset.unit)
    if known == "some":
        found.append(verdict("patients_mixed", dataset=dataset.name))
    elif known == "none":
        found.append(
            verdict(
                "patients_unnamed",
                dataset=dataset.name,
                unit=dataset.unit,
                suggested=dataset.suggested,
            )
        )
    if dataset.synthetic:
        found.append(verdict("synthetic", dataset=dataset.name))
    return found


def _nowhere(bundles: list[Bundle], least: int) -> np.ndarray:
    """int [N] of -1, long enough for every image of the bundles."""
    last = max((int(max(b.one[-1], b.other[-1])) for b in bundles), default=-1)
    return np.full(max(least, last + 1), -1)


def _copied(where: str, overlap, total: int, **values) -> list[Verdict]:
    """Verdicts on the images of an overlap: identical ones, and the others."""
    return [
        verdict(f"{what}_{where}", images=len(images), of=total, **values)
        for what, images in zip(
            ("identical_images", "near_duplicates"), overlap, strict=True
        )
        if len(images)
    ]
