"""Prediction sets that hold the truth as often as promised: split conformal prediction.

Vovk et al. 2005; Angelopoulos and Bates 2021 (arXiv 2107.07511). The threshold
is chosen on val, and coverage is measured on test. The promise is for images
drawn like those of val, one of each patient: where patients have several it is only
about right, and on another hospital's it can fail. So coverage is always measured.
"""

from __future__ import annotations

import numpy as np

COVERAGE = 0.9


def set_threshold(target, probs, coverage: float = COVERAGE) -> float:
    """The least probability of a class that belongs to the set, from val.

    target: [n] or [n, Z] whole classes; probs: [..., K] with the same leading axes.
    From the (n + 1) coverage-th largest probability of the truth (score 1 - p, Sadinle
    et al. 2019, arXiv 1609.00451). Zones are pooled. 0, every class, where there are
    too few images to promise anything.
    """
    true = truth(target, probs).ravel()
    # The tolerance keeps 0.9 * 10 from being 9.000000000000002.
    rank = int(np.ceil((len(true) + 1) * coverage - 1e-9))
    if rank > len(true):
        return 0.0
    return float(np.sort(true)[::-1][rank - 1])


def sets(probs, least: float) -> np.ndarray:
    """Which classes belong to the set: bool, in the shape of probs."""
    return np.asarray(probs, np.float64) >= least


def truth(target, probs) -> np.ndarray:
    """The probability of the true class, in the shape of target."""
    target = np.asarray(target, int)
    return np.take_along_axis(
        np.asarray(probs, np.float64), target[..., None], axis=-1
    )[..., 0]
