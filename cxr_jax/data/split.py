"""A split of a prepared dataset: its images by index, its other columns as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from tfds_builders.common import splits
from tfds_builders.common.build import columns
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import MIXED

Known = Literal["all", "some", "none"]


class Split(NamedTuple):
    """Examples of one role.

    Attributes:
      dataset: 'brixia', the name without its config.
      split: 'test', as requested.
      read: position -> {'image': PNG bytes} of one example, and its mask.
      rows: int64 [N], the positions of this split.
      table: all columns but the image, with N rows: numbers as arrays, texts as lists
        of str.
      label_names: {column: names} of class labels.
      unit: what a `patient_id` stands for: 'patients', 'images' (one per patient
        assumed) or 'near-duplicate groups'.
      synthetic: the pictures are phantoms.
      pictures: names of those that a batch holds: 'image', and 'mask' of the lungs.
      pixels: {name of a picture: [N, size, size, 1]} where they are held in memory.
      pixels_sha256: digest of the pixels of this split, or of the whole dataset where
        the split is a part of several; '' of a dataset that was built without one.
    """

    dataset: str
    split: str
    read: Callable[[int], dict[str, bytes]]
    rows: np.ndarray
    table: dict[str, Any]
    label_names: dict[str, tuple[str, ...]]
    unit: str
    synthetic: bool
    pictures: tuple[str, ...] = ("image",)
    pixels: dict[str, np.ndarray] | None = None
    pixels_sha256: str = ""

    @property
    def size(self) -> int:
        return len(self.rows)

    @property
    def patients_known(self) -> Known:
        return known_patients(self.unit)


def known_patients(unit: str) -> Known:
    """How many of a dataset's patients are known by name, by its `Split.unit`."""
    if unit == MIXED:
        return "some"
    return "all" if unit == "patients" else "none"


def take(split: Split, rows: np.ndarray, name: str) -> Split:
    """Returns the part of a split at the given positions within it.

    Raises:
      InputError: `rows` is empty.
    """
    if not len(rows):
        raise InputError(
            split.dataset,
            f"no example falls into {name!r} (of {split.size})",
            "use more data or another fold",
        )
    table = {
        key: column[rows]
        if isinstance(column, np.ndarray)
        else [column[row] for row in rows]
        for key, column in split.table.items()
    }
    pixels = split.pixels
    if pixels is not None:
        pixels = {key: column[rows] for key, column in pixels.items()}
    return split._replace(split=name, rows=split.rows[rows], table=table, pixels=pixels)


def by_fold(whole: Split, fold: int, by: str = "patient_id") -> dict[str, Split]:
    """Cross-validation: new train, val and test, with the stored `fold` as test.

    Args:
      whole: the split 'all'.
      fold: 0..4. Patients of other folds go to val or train by a hash of their id.
      by: 'patient_id'; or 'example_id', which deals every image by itself and so puts
        patients and copies on both sides: to show what that does to figures.

    Raises:
      InputError: no such fold, or one of the three is empty.
    """
    if fold not in range(splits.FOLDS):
        raise InputError(
            "config.data.fold",
            f"is {fold}",
            f"choose a fold from 0 to {splits.FOLDS - 1}, or -1 for the stored split",
        )
    if "fold" not in whole.table:
        raise InputError(whole.dataset, "has no folds", "use config.data.fold=-1")
    units = whole.table[by]
    folds = whole.table["fold"] if by == "patient_id" else map(splits.fold_of, units)
    roles = np.array(
        [
            "test" if its == fold else splits.train_or_val(unit)
            for its, unit in zip(folds, units, strict=True)
        ]
    )
    return {
        role: take(whole, np.flatnonzero(roles == role), role) for role in splits.SPLITS
    }


def fingerprint(split: Split, table_sha256: str = "") -> dict[str, Any]:
    """Size of a split, and digests of its columns, in any order, and of its pixels.

    table_sha256: that of its columns, where it is known; it takes seconds of a million.
    """
    return {
        "images": split.size,
        split.unit: len(set(split.table["patient_id"])),
        "sha256": table_sha256 or columns.digest(split.table),
        "pixels": split.pixels_sha256,
    }


def patients_in_both(one: Split, other: Split) -> int:
    """Number of patients with images in both splits; should be 0."""
    return len(set(one.table["patient_id"]) & set(other.table["patient_id"]))
