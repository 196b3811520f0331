"""Loss and calibration of a split, before and after recalibration on val."""

from functools import partial
from typing import Any

import numpy as np

from cxr_jax.metrics import checks
from cxr_jax.stats import bootstrap, calibration, conformal, probability, weighted
from cxr_jax.stats.estimate import Estimate

SEPARATED = "the classes are separated, or only one is present"


def mean_loss(losses, weights) -> Estimate:
    """The mean of per-image losses [N]; weights of `stats.bootstrap`."""
    losses = np.asarray(losses, np.float64)
    return bootstrap.mean(losses, weights, undefined="a loss is not finite")


def fit_confidence(target, probs) -> dict[str, Any]:
    """Temperature, vector scaling and threshold of prediction sets, all fitted on val.

    target: [N] or [N, Z]; probs: [..., K].
    """
    temperature = calibration.fit_temperature(probs, target)
    tempered = calibration.tempered(probs, temperature)
    scale, shift = calibration.fit_vector(probs, target)
    return {
        "temperature": temperature,
        "vector": {"scale": scale, "shift": shift},
        "least": conformal.set_threshold(target, tempered),
    }


def confidence_metrics(
    target, probs, weights, fitted: dict[str, Any]
) -> dict[str, Estimate]:
    """Calibration before and after the temperature, and prediction sets.

    target: [N] whole classes, or [N, Z] of zones, which are pooled. probs: [..., K].
    weights: of `stats.bootstrap`. fitted: of `fit_confidence`.
    brier, ece and, of two classes, calibration_slope and calibration_intercept; the
    same with the suffix `_tempered`, and with `_vector` after vector scaling.
    coverage_90 and set_size_90: the share of cases whose truth is in the set, and how
    many classes a set holds, of split conformal prediction for 90 %. n is the number
    of images.
    """
    target, probs = np.asarray(target, int), np.asarray(probs, np.float64)
    checks.finite("predicted probabilities", probs)
    classes = probs.shape[-1]
    found = {}

    def add(name, statistic, undefined="no images"):
        found[name] = bootstrap.estimate(statistic, weights, undefined=undefined)

    after = calibration.tempered(probs, fitted["temperature"])
    scaled = calibration.vector_scaled(probs, **fitted["vector"])
    for suffix, each in (("", probs), ("_tempered", after), ("_vector", scaled)):
        add(f"brier{suffix}", partial(probability.brier, target, each))
        if classes == 2:
            positive, scores = target == 1, each[..., 1]
            add(f"ece{suffix}", _error(positive, scores))
            line = probability.calibration_slope, probability.calibration_intercept
            for name, statistic in zip(("slope", "intercept"), line, strict=True):
                statistic = partial(statistic, positive, scores)
                add(f"calibration_{name}{suffix}", statistic, SEPARATED)
        else:
            correct = each.argmax(axis=-1) == target
            add(f"ece{suffix}", _error(correct, each.max(axis=-1)))
    sets = conformal.sets(after, fitted["least"]).sum(axis=-1)
    held = conformal.truth(target, after) >= fitted["least"]
    add("coverage_90", partial(weighted.mean, held))
    add("set_size_90", partial(weighted.mean, sets))
    return found


def _error(correct, confidence):
    return partial(probability.calibration_error, correct, confidence)
