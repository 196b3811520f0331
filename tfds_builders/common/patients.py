"""Patients that the user knows and the release does not name, from patients.csv."""

import collections
from collections.abc import Iterable, Mapping
from pathlib import Path

from tfds_builders.common.errors import InputError
from tfds_builders.common.tables import read_csv, refuse

TABLE = "patients.csv"
UNLISTED = "images_not_in_patients_csv"  # the key of a count


def read_patients(release: Path, names: Iterable[str]) -> dict[str, str] | None:
    """Patient by example_id, from patients.csv in the release's folder; None without.

    names: the example_ids of the release; those not listed have no entry.

    Errors: InputError for example_ids that are not in the release or are listed
    twice, and for rows without a patient.
    """
    path = find_patients(release)
    if path is None:
        return None
    try:
        rows = read_csv(path, ("example_id", "patient"))
    except InputError as error:  # its advice is about the release's own files
        hint = (
            "It needs the columns example_id and patient, separated by ',' or ';', as "
            "UTF-8."
        )
        raise InputError(error.where, error.found, hint) from error
    listed = collections.Counter(row["example_id"] for row in rows)
    refuse(
        path,
        sorted(listed.keys() - set(names)),
        "example_ids are not in the release",
        "The README of the dataset says what an example_id is; usually the file name "
        "without its extension.",
    )
    refuse(
        path,
        sorted(name for name, n in listed.items() if n > 1),
        "example_ids are listed more than once",
        "Keep one row for each image.",
    )
    refuse(
        path,
        (row["example_id"] for row in rows if not row["patient"]),
        "rows have no patient",
        "Remove these rows: images that are not listed keep their own id.",
    )
    return {row["example_id"]: row["patient"] for row in rows}


def find_patients(release: Path) -> Path | None:
    """patients.csv of a release; None without.

    Errors: InputError if it exists but is not a file, e.g. a broken link.
    """
    path = release / TABLE
    if path.is_file():
        return path
    if path.exists() or path.is_symlink():
        raise InputError(
            path, "not a readable file", "Replace it with the table, or remove it."
        )
    return None


def join(group_of: Mapping[str, str], patient_of: Mapping[str, str]) -> dict[str, str]:
    """Patient of each image, where images of one group are of one patient.

    A group that touches several patients makes them one, under the smallest of their
    names; a group that touches none keeps its own name. Closed under both relations.
    """
    parent: dict[str, str] = {}

    def root(patient):
        while parent.get(patient, patient) != patient:
            patient = parent[patient]
        return patient

    patient_in: dict[str, str] = {}
    for name, patient in patient_of.items():
        known = patient_in.setdefault(group_of[name], patient)
        smaller, larger = sorted((root(known), root(patient)))
        parent[larger] = smaller
    return {
        name: root(patient_in.get(group, group)) for name, group in group_of.items()
    }
