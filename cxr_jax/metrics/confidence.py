"""Loss and calibration of a split, before and after recalibration on val."""

from functools import partial
from typing import Any

import numpy as np

from cxr_jax.metrics import checks
from cxr_jax.metrics.classification import of_classes
from cxr_jax.stats import (
    bootstrap,
    calibration,
    conformal,
    patients,
    probability,
    tempering,
)
from cxr_jax.stats.estimate import Estimate, point
from cxr_jax.stats.patients import Rests

SEPARATED = "the classes are separated, or only one is present"
# Resamples of a calibration error are further off than the split itself, so their
# percentiles lie above it and hold the truth less often than not.
NO_INTERVAL = "no interval: compare with that of a calibrated model, ece_calibrated"
# Drawn for the range of a calibrated model.
DRAWS = 500


def mean_loss(losses, weights) -> Estimate:
    """The mean of per-image losses [N]; weights of `stats.bootstrap`."""
    losses = np.asarray(losses, np.float64)
    return bootstrap.mean(losses, weights, undefined="a loss is not finite")


def fit_confidence(target, probs, patient_ids) -> dict[str, Any]:
    """Temperature, vector scaling and threshold of prediction sets, from part of val.

    target: [N] or [N, Z]; probs: [..., K]; patient_ids: [N]. Without an image nothing is
    changed, and the sets hold all classes.
    """
    temperature = calibration.fit_temperature(probs, target)
    scale, shift = calibration.fit_vector(probs, target)
    tempered = tempering.tempered(probs, temperature)
    return {
        "temperature": temperature,
        "vector": {"scale": scale, "shift": shift},
        "least": conformal.set_threshold(target, tempered, patient_ids),
    }


def confidence_metrics(
    target, probs, weights, fitted: dict[str, Any]
) -> dict[str, Estimate]:
    """Calibration before and after the temperature, and prediction sets.

    target: [N] whole classes, or [N, Z] of zones, which are pooled. probs: [..., K].
    weights: of `stats.bootstrap`. fitted: of `fit_confidence`.
    brier, ece and, of two classes, calibration_slope and calibration_intercept; where
    there are resamples ece_calibrated, the range of ece for a model of the same
    probabilities that is right about them, and ece_debiased, what is left beyond chance;
    the same with the suffix `_tempered`, and with `_vector` after vector scaling.
    coverage_90 and set_size_90: the share of cases whose truth is in the set, and how
    many classes a set holds, of split conformal prediction for 90 %. n is the number
    of images.
    """
    target, probs = np.asarray(target, int), np.asarray(probs, np.float64)
    checks.finite("predicted probabilities", probs)
    after = _tempered(probs, fitted)
    scaled = calibration.vector_scaled(probs, **fitted["vector"])
    found = {}
    for suffix, each in (("", probs), ("_tempered", after), ("_vector", scaled)):
        own = calibration_metrics(target, each, weights)
        found |= {name + suffix: estimate for name, estimate in own.items()}
    sets = conformal.sets(after, fitted["least"])
    held = np.take_along_axis(sets, target[..., None], axis=-1)[..., 0]
    found["coverage_90"] = bootstrap.mean(held, weights)
    found["set_size_90"] = bootstrap.mean(sets.sum(axis=-1), weights)
    return found


def fit_interval(target, probs, patient_ids, fitted: dict[str, Any]) -> float | None:
    """The factor of `conformal.interval`, from the part of val that settles.

    target: [N, Z] of zones; probs: [N, Z, K]; patient_ids: [N]. fitted: of
    `fit_confidence`. None, every global score, where there are too few patients.
    """
    after = _tempered(probs, fitted)
    found = conformal.interval_factor(target, probs, after, patient_ids)
    return found if np.isfinite(found) else None


def interval_metrics(
    target, probs, weights, fitted: dict[str, Any], factor: float | None
) -> dict[str, Estimate]:
    """coverage_90_global, width_90_global: of the intervals of the global score.

    The share that contains the sum of the reader's scores, and their mean width in
    points. Arguments as of `fit_interval`; weights: of `stats.bootstrap`.
    """
    target, probs = np.asarray(target, int), np.asarray(probs, np.float64)
    checks.finite("predicted probabilities", probs)
    after = _tempered(probs, fitted)
    low, high = conformal.interval(probs, after, np.inf if factor is None else factor)
    truth = target.sum(axis=1)
    return {
        "coverage_90_global": bootstrap.mean((low <= truth) & (truth <= high), weights),
        "width_90_global": bootstrap.mean(high - low, weights),
    }


def calibration_metrics(target, probs, weights) -> dict[str, Estimate]:
    """brier, ece with its range and, of two classes, slope and intercept."""
    images = len(target)
    statistic = partial(probability.brier, target, probs)
    found = {
        "brier": bootstrap.estimate(statistic, weights, undefined="no images")
    } | _errors(target, probs, weights)
    if probs.shape[-1] == 2 and images:
        positive, scores = target == 1, probs[..., 1]
        for name, line in (
            ("calibration_slope", probability.calibration_slope),
            ("calibration_intercept", probability.calibration_intercept),
        ):
            statistic = Rests(partial(line, positive, scores), of_classes(target, 2))
            found[name] = bootstrap.estimate(statistic, weights, undefined=SEPARATED)
    return found


def _errors(target, probs, weights) -> dict[str, Estimate]:
    images = len(target)
    if not images:
        return {"ece": point(np.nan, 0, "no images")}
    if probs.shape[-1] == 2:
        pair = target == 1, probs[..., 1]
    else:
        pair = probs.argmax(axis=-1) == target, probs.max(axis=-1)
    found = {"ece": point(probability.calibration_error(*pair), images, NO_INTERVAL)}
    if len(weights) == 1:
        return found
    patient = patients.of_columns(weights)
    drawn = probability.calibrated_errors(*pair, patient, DRAWS)
    low, high = np.quantile(drawn, (0.025, 0.975))
    found["ece_calibrated"] = Estimate(
        float(drawn.mean()), float(low), float(high), images
    )
    left = probability.debiased_calibration_error(*pair, patient)
    reason = "no interval" if np.isfinite(left) else "a single patient in every bin"
    return found | {"ece_debiased": point(left, images, reason)}


def _tempered(probs, fitted: dict[str, Any]) -> np.ndarray:
    """The probabilities after the temperature of `fit_confidence`."""
    return tempering.tempered(probs, fitted["temperature"])
