"""The patient of each image, or the nearest thing that a release knows."""

import collections
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.patients import join, read_patients
from tfds_builders.common.splits import GROUPS, MIXED, PATIENTS

_SEVERAL = {
    "classes": "near_duplicate_groups_of_several_classes",
    "scores": "near_duplicate_groups_of_several_scores",
}


class Grouping(NamedTuple):
    """`patient_of` each image, what a patient stands for, and counts (counts.COUNTS)."""

    patient_of: dict[str, str]
    unit: str
    counts: dict[str, int]


def grouping(
    release: Path,
    group_of: Mapping[str, str],
    label_of: Mapping[str, str],
    named: Mapping[str, str] | None = None,
    labels: str = "classes",
) -> Grouping:
    """Patients of the release and of the user's patients.csv, joined over copies.

    Images belong to one patient where either of the two says so, and where they are
    copies of each other: a copy must never lie on the other side of a split. The name
    is that of patients.csv, else the release's, else the group's.

    Args:
      release: its folder, which may hold patients.csv.
      group_of: near-duplicate group of every image.
      label_of: class of every image.
      named: patients that the release itself names, for some images or all.
      labels: 'classes' or 'scores', what label_of holds.
    """
    listed = read_patients(release, group_of)
    known = {**(named or {}), **(listed or {})}
    counts = _copies(group_of, label_of, labels)
    unknown = len(group_of) - len(known)
    if listed is not None or known:
        key = "images_without_patient" if named else "images_not_in_patients_csv"
        counts[key] = unknown
    unit = GROUPS if not known else MIXED if unknown else PATIENTS
    patient_of = join(join(group_of, named or {}), listed or {})
    merged = _patients_in(group_of, known)
    if merged:
        counts["patients_joined_by_copies"] = merged
    return Grouping(patient_of, unit, counts)


def _copies(group_of, label_of, kind) -> dict[str, int]:
    members = collections.Counter(group_of.values())
    classes = collections.defaultdict(set)
    for name, group in group_of.items():
        classes[group].add(label_of[name])
    return {
        "near_duplicate_groups": sum(n > 1 for n in members.values()),
        "near_duplicate_images": sum(n for n in members.values() if n > 1),
        _SEVERAL[kind]: sum(len(labels) > 1 for labels in classes.values()),
    }


def _patients_in(group_of, known) -> int:
    """How many patients share a near-duplicate group with another patient."""
    patients = collections.defaultdict(set)
    for name, patient in known.items():
        patients[group_of[name]].add(patient)
    return len(set().union(*(p for p in patients.values() if len(p) > 1)))
