"""Sets and intervals that hold the truth as often as promised: split conformal.

Vovk et al. 2005; Angelopoulos and Bates 2021 (arXiv 2107.07511). The threshold is
chosen on patients of val that picked nothing (`evaluation.settling`), and coverage is
measured on test. The promise is for an image of a new patient who is drawn like those
of val; on another hospital's it can fail. So coverage is always measured.
"""

from __future__ import annotations

import numpy as np

COVERAGE = 0.9
# The least spread of a global score, in points: surer than that no model is of a sum
# of whole scores.
LEAST_SPREAD = 0.25


def set_threshold(target, probs, patient_ids, coverage: float = COVERAGE) -> float:
    """The least probability of a class that belongs to the set, from val.

    target: [n] or [n, Z] whole classes; probs: [..., K] with the same leading axes;
    patient_ids: [n]. The threshold is the largest that holds the truth (score 1 - p,
    Sadinle et al. 2019, arXiv 1609.00451) of that share of the weight (`_reached`). 0,
    every class, where there are too few patients to promise anything.
    """
    true = truth(target, probs)
    if not len(true):
        return 0.0
    found = _reached(-true.reshape(len(true), -1), patient_ids, coverage)
    return 0.0 if found is None else -found


def interval_factor(
    target, probs, tempered, patient_ids, coverage: float = COVERAGE
) -> float:
    """The factor of `interval`, from val: normalised split conformal regression.

    Lei et al. 2018, doi 10.1080/01621459.2017.1307116, section 5.2. target: [n, Z];
    probs, tempered: [n, Z, K]; patient_ids: [n]. Infinite, every global score, where
    there are too few patients to promise anything.
    """
    target = np.asarray(target, int)
    if not len(target):
        return np.inf
    error = np.abs(target.sum(axis=1) - global_score(probs))
    found = _reached((error / spread(tempered))[:, None], patient_ids, coverage)
    return np.inf if found is None else found


def interval(probs, tempered, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of the global score: it, less and more `factor` times its spread.

    probs, tempered: [..., Z, K]. Within the scores that there are, 0 to Z * (K - 1).
    """
    probs = np.asarray(probs, np.float64)
    highest = probs.shape[-2] * (probs.shape[-1] - 1)
    middle, half = global_score(probs), factor * spread(tempered)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, float(highest))


def global_score(probs) -> np.ndarray:
    """The sum over zones of the expected score: [..., Z, K] -> [...]."""
    probs = np.asarray(probs, np.float64)
    return (probs @ np.arange(probs.shape[-1])).sum(axis=-1)


def spread(tempered) -> np.ndarray:
    """Standard deviation of the global score if zones were independent: [...].

    At least LEAST_SPREAD. That zones are not independent, the factor makes good.
    tempered: [..., Z, K].
    """
    tempered = np.asarray(tempered, np.float64)
    levels = np.arange(tempered.shape[-1])
    mean = tempered @ levels
    variance = np.maximum(tempered @ levels**2 - mean**2, 0.0)
    return np.maximum(np.sqrt(variance.sum(axis=-1)), LEAST_SPREAD)


def _reached(scores, patient_ids, coverage: float) -> float | None:
    """The least score that so much of the weight does not exceed; None where none is.

    scores: [n, Z]; patient_ids: [n]. Of m patients each weighs 1 / (m + 1), its images
    and zones alike (Lee et al. 2023, arXiv 2306.06342): fewer than 9 reach no 90 %.
    """
    _, patient, images = np.unique(
        np.asarray(patient_ids), return_inverse=True, return_counts=True
    )
    weight = 1 / (images[patient] * scores.shape[1] * (len(images) + 1))
    weight = np.repeat(weight, scores.shape[1])
    order = np.argsort(scores.ravel(), kind="stable")
    # The tolerance keeps sums of rounded numbers from missing what they reach.
    reached = np.cumsum(weight[order]) >= coverage - 1e-9
    if not reached.any():
        return None
    return float(scores.ravel()[order][np.argmax(reached)])


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
