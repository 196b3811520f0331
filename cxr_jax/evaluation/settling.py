"""Which patients of val pick the checkpoint, and which settle what is decided on it.

The checkpoint that is best on some images is better on them than on others, so
thresholds, temperature and prediction sets that are fitted on the same images promise
too much: sets for 90 % hold the truth in 86 to 89 % (`benchmarks.coverage`). So one half
of val's patients picks the checkpoint, and the other half, which it never saw, settles
the rest. A val split of fewer than LEAST patients cannot be parted: all of it picks, and
nothing is settled on it. Then thresholds are 0.5, the temperature is 1 and sets hold
every class, which is all that so few patients can promise.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from cxr_jax.data.split import Split, take
from cxr_jax.tasks import Task

# Half of them are 10, and 9 are needed to promise 90 %.
LEAST = 20


class Parts(NamedTuple):
    """Positions in val: int [n] each.

    Attributes:
      selecting: of images that pick the checkpoint, lower the learning rate and stop.
      settling: of images that thresholds, temperature and sets are fitted on.
    """

    selecting: np.ndarray
    settling: np.ndarray


def parts(task: Task, patient_ids, targets: dict[str, np.ndarray]) -> Parts:
    """The two parts of val; whatever the run, they are the same.

    By turns in the order of a hash of the patients, within each class or by their
    scores, so that both are alike. Of an odd number the first part has one more, so
    each class that occurs helps to pick. A task without probabilities decides nothing
    that selection could flatter: both parts are then the whole of val.
    """
    ids = np.asarray(patient_ids)
    everything, nothing = np.arange(len(ids)), np.arange(0)
    if task.probabilities is None:
        return Parts(everything, everything)
    patients, patient = np.unique(ids, return_inverse=True)
    if len(patients) < LEAST:
        return Parts(everything, nothing)
    labels = np.asarray(targets[task.label]).reshape(len(ids), -1).sum(axis=1)
    level = np.full(len(patients), labels.min())
    np.maximum.at(level, patient, labels)
    order = np.lexsort(([_hash(str(each)) for each in patients], level))
    turn = np.arange(len(order))
    if not task.probabilities.is_graded:  # start over with every class
        _, first = np.unique(level[order], return_index=True)
        turn = turn - first[np.searchsorted(first, turn, "right") - 1]
    settles = np.zeros(len(patients), bool)
    settles[order] = turn % 2 == 1
    return Parts(np.flatnonzero(~settles[patient]), np.flatnonzero(settles[patient]))


def part(split: Split, rows: np.ndarray) -> Split:
    """The split at some positions, or itself where those are all."""
    if len(rows) == split.size:
        return split
    return take(split, rows, split.split)


def at(arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays [N, ...] at some positions."""
    return {name: array[rows] for name, array in arrays.items()}


def size(split: Split, found: Parts) -> dict[str, dict[str, int]]:
    """{part: {'images', 'patients' or what stands for them}}."""
    ids = np.asarray(split.table["patient_id"])
    return {
        name: {"images": len(rows), split.unit: len(np.unique(ids[rows]))}
        for name, rows in found._asdict().items()
    }


def _hash(patient: str) -> int:
    digest = hashlib.sha256(f"cxr_jax settling {patient}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
