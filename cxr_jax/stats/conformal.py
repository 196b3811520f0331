"""Prediction sets that hold the truth as often as promised: split conformal prediction.

Vovk et al. 2005; Angelopoulos and Bates 2021 (arXiv 2107.07511). The threshold is
chosen on patients of val that picked nothing (`evaluation.settling`), and coverage is
measured on test. The promise is for an image of a new patient who is drawn like those
of val; on another hospital's it can fail. So coverage is always measured.
"""

from __future__ import annotations

import numpy as np

COVERAGE = 0.9


def set_threshold(target, probs, patient_ids, coverage: float = COVERAGE) -> float:
    """The least probability of a class that belongs to the set, from val.

    target: [n] or [n, Z] whole classes; probs: [..., K] with the same leading axes;
    patient_ids: [n]. Of m patients each weighs 1 / (m + 1), its images and zones alike,
    and the threshold is the largest that holds the truth (score 1 - p, Sadinle et al.
    2019, arXiv 1609.00451) of that share of the weight (Lee et al. 2023, arXiv
    2306.06342). 0, every class, where there are too few patients to promise anything:
    fewer than 9 for 90 %.
    """
    true = truth(target, probs)
    if not len(true):
        return 0.0
    _, patient, images = np.unique(
        np.asarray(patient_ids), return_inverse=True, return_counts=True
    )
    true = true.reshape(len(true), -1)
    weight = 1 / (images[patient] * true.shape[1] * (len(images) + 1))
    weight = np.repeat(weight, true.shape[1])
    order = np.argsort(-true.ravel(), kind="stable")
    # The tolerance keeps sums of rounded numbers from missing what they reach.
    reached = np.cumsum(weight[order]) >= coverage - 1e-9
    if not reached.any():
        return 0.0
    return float(true.ravel()[order][np.argmax(reached)])


def sets(probs, least: float) -> np.ndarray:
    """Which classes belong to the set: bool, in the shape of probs.

    The most probable class always does: an empty set would say nothing, and that it
    is wrong is known beforehand. Coverage only rises.
    """
    probs = np.asarray(probs, np.float64)
    return (probs >= least) | (probs == probs.max(axis=-1, keepdims=True))


def truth(target, probs) -> np.ndarray:
    """The probability of the true class, in the shape of target."""
    target = np.asarray(target, int)
    return np.take_along_axis(
        np.asarray(probs, np.float64), target[..., None], axis=-1
    )[..., 0]
