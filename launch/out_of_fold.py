"""The predictions of a cross-validation as those of one model, and what is settled on them.

Each film is predicted by the model that never saw its patient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cxr_jax import metrics
from cxr_jax.stats import bootstrap
from cxr_jax.stats.estimate import Estimate

RESAMPLES = 2000


class Pooled(NamedTuple):
    """Of N films, in the order of their ids.

    Attributes:
      example_ids, patient_ids, fold: [N].
      labels: [N, 6], the senior reader's.
      probs: [seeds, N, 6, 4].
    """

    example_ids: list[str]
    patient_ids: list[str]
    fold: np.ndarray
    labels: np.ndarray
    probs: np.ndarray


def figures(found: Pooled, probs: np.ndarray, seed: int = 0) -> dict[str, Estimate]:
    """All metrics of `metrics.brixia_metrics`, resampled by patient. probs: [N, 6, 4]."""
    weights = bootstrap.weights(found.patient_ids, RESAMPLES, seed)
    expected = probs @ np.arange(probs.shape[-1])
    return metrics.brixia_metrics(found.labels, expected, probs, weights)


def decision(found: Pooled, probs: np.ndarray, among=slice(None)) -> dict[str, Any]:
    """Temperature, prediction sets and interval of a model like those of the folds."""
    ids = list(np.asarray(found.patient_ids)[among])
    fitted = metrics.fit_confidence(found.labels[among], probs[among], ids)
    factor = metrics.fit_interval(found.labels[among], probs[among], ids, fitted)
    return {"confidence": fitted, "interval_factor": factor}


def coverage(found: Pooled, probs: np.ndarray, seed: int = 0) -> dict[str, Estimate]:
    """`metrics.interval_metrics` where each fold's were settled on the other folds."""
    weights = bootstrap.weights(found.patient_ids, RESAMPLES, seed)
    inside, width = np.zeros(len(found.fold)), np.zeros(len(found.fold))
    for fold in np.unique(found.fold):
        own = found.fold == fold
        settled = decision(found, probs, ~own)
        for film in np.flatnonzero(own):
            one = slice(film, film + 1)
            each = metrics.interval_metrics(
                found.labels[one],
                probs[one],
                np.ones((1, 1)),
                settled["confidence"],
                settled["interval_factor"],
            )
            inside[film] = each["coverage_90_global"].value
            width[film] = each["width_90_global"].value
    return {
        "coverage_90_global": bootstrap.mean(inside, weights),
        "width_90_global": bootstrap.mean(width, weights),
    }
