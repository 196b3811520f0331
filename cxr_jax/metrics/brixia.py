"""Metrics of the Brixia score: six zones of 0..3 points, global score 0..18."""

from functools import partial

import numpy as np

from cxr_jax.metrics import checks
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.zones import LEVELS, ZONES

CONSTANT = "the target or the prediction is constant"


def brixia_metrics(
    target, expected, probs, patient_ids, resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """All metrics of one split, with patient-clustered intervals.

    target: [N, 6] whole scores 0..3. expected: [N, 6] predicted scores, any real.
    probs: [N, 6, 4] of the levels. patient_ids: [N].
    `*_zone` pools the 6 zones of all images (6 N pairs), `*_global` compares the
    sums over zones; n is the number of images for both.
      mae_*: mean absolute error, in points; mae_zone_A..F: of one zone
      sd_*: standard deviation of the signed errors, in points
      pearson_*: correlation
      kappa_*: quadratically weighted kappa of the rounded expected score
      exact_zone, within_one_zone: share of zones whose rounded expected score is the
        target, or off by one point at most
      rps_zone: ranked probability score of `probs` (Epstein 1969), 0 is perfect
    Halves are rounded up.
    """
    target, expected = np.asarray(target), np.asarray(expected, np.float64)
    probs = np.asarray(probs, np.float64)
    images = len(target)
    checks.shape("target", target, (images, len(ZONES)))
    checks.shape("expected", expected, (images, len(ZONES)))
    checks.shape("probs", probs, (images, len(ZONES), LEVELS))
    checks.shape("patient_ids", np.asarray(patient_ids), (images,))
    checks.whole("target", target, LEVELS)
    checks.finite("predicted scores", expected)
    checks.finite("predicted probabilities", probs)

    counts = bootstrap.weights(patient_ids, resamples, seed)
    metrics = {}

    def add(name, statistic, *values):
        metrics[name] = bootstrap.estimate(
            partial(statistic, *values), counts, undefined=CONSTANT
        )

    error = expected - target
    level = rounded(expected, LEVELS - 1)
    total, expected_total = target.sum(axis=1), expected.sum(axis=1)
    level_total = rounded(expected_total, (LEVELS - 1) * len(ZONES))
    add("mae_zone", weighted.mean, np.abs(error))
    for z, zone in enumerate(ZONES):
        add(f"mae_zone_{zone}", weighted.mean, np.abs(error[:, z]))
    add("mae_global", weighted.mean, np.abs(expected_total - total))
    add("sd_zone", weighted.standard_deviation, error)
    add("sd_global", weighted.standard_deviation, expected_total - total)
    add("pearson_zone", weighted.pearson, target, expected)
    add("pearson_global", weighted.pearson, total, expected_total)
    add("kappa_zone", weighted.quadratic_kappa, target, level)
    add("kappa_global", weighted.quadratic_kappa, total, level_total)
    add("exact_zone", weighted.mean, level == target)
    add("within_one_zone", weighted.mean, np.abs(level - target) <= 1)
    add("rps_zone", weighted.mean, ranked_probability(target, probs))
    return metrics


def constant_median(train_targets) -> np.ndarray:
    """The predictor to beat: the median of each zone's scores, [M, 6] -> [6]."""
    train_targets = np.asarray(train_targets)
    checks.whole("train_targets", train_targets, LEVELS)
    return np.median(train_targets, axis=0)


def constant_median_metrics(
    target, medians, patient_ids, resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """`brixia_metrics` of the predictor that always says `medians` [6].

    A median between two levels is split evenly between them.
    """
    images = len(target)
    medians = np.asarray(medians, np.float64)
    levels = np.arange(LEVELS)
    probs = np.clip(1 - np.abs(medians[:, None] - levels), 0, 1)
    return brixia_metrics(
        target,
        np.broadcast_to(medians, (images, len(ZONES))),
        np.broadcast_to(probs, (images, len(ZONES), LEVELS)),
        patient_ids,
        resamples,
        seed,
    )


def rounded(scores, top: int) -> np.ndarray:
    """The nearest whole score in 0..top, halves up."""
    return np.clip(np.floor(np.asarray(scores) + 0.5), 0, top).astype(int)


def ranked_probability(target, probs) -> np.ndarray:
    """Ranked probability score of each zone: [N, 6], [N, 6, 4] -> [N, 6]."""
    reached = np.asarray(target)[..., None] <= np.arange(LEVELS)
    return ((np.cumsum(probs, axis=-1) - reached) ** 2).sum(axis=-1)
