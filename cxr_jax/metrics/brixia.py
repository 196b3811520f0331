"""Metrics of the Brixia score: six zones of 0..3 points, global score 0..18.

`weights` [resamples + 1, N] are those of `stats.bootstrap`. n is the number of images.
"""

from functools import partial

import numpy as np

from cxr_jax.metrics import checks
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.bootstrap import Resamples, Statistic
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.zones import LEVELS, ZONES

CONSTANT = "the target or the prediction is constant"
# Zones A to C lie in the patient's right lung, which is on the left of the picture.
SIDES = {"right": slice(0, 3), "left": slice(3, 6)}
# Of normal differences, 95 % lie within so many standard deviations.
LIMITS = 1.96
GLOBAL = (LEVELS - 1) * len(ZONES)


def brixia_metrics(target, expected, probs, weights) -> dict[str, Estimate]:
    """All metrics of one split.

    target: [N, 6] whole scores 0..3. expected: [N, 6] predicted scores, any real.
    probs: [N, 6, 4] of the levels.
    `*_zone` pools the 6 zones of all images (6 N pairs), `*_global` compares the
    sums over zones.
      mae_*: mean absolute error, in points; mae_zone_A..F: of one zone
      sd_*: standard deviation of the signed errors, in points
      pearson_*: correlation
      kappa_*: quadratically weighted kappa of the rounded expected score
      exact_zone, within_one_zone: share of zones whose rounded expected score is the
        target, or off by one point at most
      rps_zone: ranked probability score of `probs` (Epstein 1969), 0 is perfect
    and those of `agreement_metrics`. Halves are rounded up.
    """
    target, expected = np.asarray(target), np.asarray(expected, np.float64)
    probs = np.asarray(probs, np.float64)
    images = len(target)
    checks.shape("target", target, (images, len(ZONES)))
    checks.shape("expected", expected, (images, len(ZONES)))
    checks.shape("probs", probs, (images, len(ZONES), LEVELS))
    checks.shape("weights", weights, (len(weights), images))
    checks.whole("target", target, LEVELS)
    checks.finite("predicted scores", expected)
    checks.finite("predicted probabilities", probs)
    found = {}

    def add(name, statistic, *values):
        found[name] = bootstrap.estimate(
            partial(statistic, *values), weights, undefined=CONSTANT
        )

    error = expected - target
    level = rounded(expected, LEVELS - 1)
    total, expected_total = target.sum(axis=1), expected.sum(axis=1)
    level_total = rounded(expected_total, GLOBAL)
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
    found["exact_zone"] = bootstrap.mean(level == target, weights)
    found["within_one_zone"] = bootstrap.mean(np.abs(level - target) <= 1, weights)
    add("rps_zone", weighted.mean, ranked_probability(target, probs))
    return found | agreement_metrics(target, expected, weights)


def agreement_metrics(target, expected, weights) -> dict[str, Estimate]:
    """Agreement with a reader per zone, per side and of the whole: [N, 6] scores each.

    `*_zone` pools the zones, `*_global` compares their sums, `*_zone_A` is of one and
    `*_right`, `*_left` compare the sums of three zones.
      rmse_*: root mean square error, bias_*: mean signed error (above 0: too high), both
        in points
      spearman_*: correlation of ranks; icc_*: ICC(2,1), absolute agreement
      limits_low_global, limits_high_global: 95 % limits of agreement (Bland and Altman
        1986, doi 10.1016/S0140-6736(86)90837-8)
      kappa_zone_A..F, mae_right, mae_left, exact_global, within_one_global
    """
    target = np.asarray(target, np.float64)
    expected = np.asarray(expected, np.float64)
    found = {}

    def add(name, statistic, *values):
        found[name] = bootstrap.estimate(
            partial(statistic, *values), weights, undefined=CONSTANT
        )

    scopes = {"zone": slice(None), "global": None}
    scopes |= {f"zone_{zone}": slice(z, z + 1) for z, zone in enumerate(ZONES)}
    scopes |= dict.fromkeys(SIDES)
    for scope, columns in scopes.items():
        if columns is None:
            part = SIDES.get(scope, slice(None))
            pair = [values[:, part].sum(axis=1) for values in (target, expected)]
        else:
            pair = [values[:, columns] for values in (target, expected)]
        error = pair[1] - pair[0]
        add(f"rmse_{scope}", weighted.root_mean_square, error)
        add(f"bias_{scope}", weighted.mean, error)
        add(f"spearman_{scope}", weighted.spearman, *pair)
        add(f"icc_{scope}", weighted.intraclass, np.stack(pair, axis=-1))
        if scope in SIDES:
            add(f"mae_{scope}", weighted.mean, np.abs(error))
        if scope.startswith("zone_"):
            level = rounded(pair[1], LEVELS - 1)
            add(f"kappa_{scope}", weighted.quadratic_kappa, pair[0], level)
    error = expected.sum(axis=1) - target.sum(axis=1)
    for name, sign in (("low", -1), ("high", 1)):
        add(f"limits_{name}_global", partial(limit, error, sign * LIMITS))
    off = np.abs(rounded(expected.sum(axis=1), GLOBAL) - target.sum(axis=1))
    found["exact_global"] = bootstrap.mean(off == 0, weights)
    found["within_one_global"] = bootstrap.mean(off <= 1, weights)
    return found


def second_reader_metrics(expected, first, second, weights) -> dict[str, Estimate]:
    """The model and the first reader, each against the second: readers show what can be reached.

    expected, first, second: [N, 6] scores. mae, icc and kappa of zones and of the global
    score, `*_junior` of the model, `*_junior_reader` of the first reader.
    """
    second = np.asarray(second, np.float64)
    found = {}
    for suffix, scores in (("junior", expected), ("junior_reader", first)):
        scores = np.asarray(scores, np.float64)
        for scope, theirs, ours, top in (
            ("zone", second, scores, LEVELS - 1),
            ("global", second.sum(axis=1), scores.sum(axis=1), GLOBAL),
        ):
            both, level = np.stack([theirs, ours], -1), rounded(ours, top)
            for name, statistic in (
                ("mae", partial(weighted.mean, np.abs(ours - theirs))),
                ("icc", partial(weighted.intraclass, both)),
                ("kappa", partial(weighted.quadratic_kappa, theirs, level)),
            ):
                found[f"{name}_{scope}_{suffix}"] = bootstrap.estimate(
                    statistic, weights, undefined=CONSTANT
                )
    return found


def consensus_metrics(
    expected, reader, consensus, resamples: Resamples
) -> dict[str, Estimate]:
    """Mean absolute error of the model and of one reader against the consensus.

    expected, reader: [N, 6] scores of the model and of the reader whose scores are
    the target. consensus: [N, 6] mean scores of several readers; rows with NaN have
    none and are left out, so that patients are drawn among the others.
    Returns mae_zone_consensus, mae_global_consensus and the reader's own error under
    the same names with `_reader`; nothing where no image has a consensus. Signoroni
    et al. 2021 give the clinical reader as zone 0.42, global 1.63 on BrixIA.
    """
    known = np.isfinite(consensus).all(axis=1)
    if not known.any():
        return {}
    consensus, weights = np.asarray(consensus, np.float64), resamples.among(known)
    found = {}
    for suffix, scores in (("consensus", expected), ("consensus_reader", reader)):
        error = np.asarray(scores, np.float64)[known] - consensus[known]
        for name, values in (("zone", error), ("global", error.sum(axis=1))):
            found[f"mae_{name}_{suffix}"] = bootstrap.mean(np.abs(values), weights)
    return found


def brixia_statistics(labels, probs) -> dict[str, Statistic]:
    """Those by which runs and groups are compared: [N, 6] whole scores, [N, 6, 4]."""
    expected = probs @ np.arange(probs.shape[-1])
    total, predicted = labels.sum(axis=1), expected.sum(axis=1)
    level = rounded(expected, LEVELS - 1)
    ranked = ranked_probability(labels, probs)
    both = np.stack([total, predicted], axis=-1)
    return {
        "mae_zone": partial(weighted.mean, np.abs(expected - labels)),
        "mae_global": partial(weighted.mean, np.abs(predicted - total)),
        "icc_global": partial(weighted.intraclass, both),
        "pearson_global": partial(weighted.pearson, total, predicted),
        "kappa_zone": partial(weighted.quadratic_kappa, labels, level),
        "rps_zone": partial(weighted.mean, ranked),
    }


def constant_median(train_targets) -> np.ndarray:
    """The constant predictor: the median of each zone's scores, [M, 6] -> [6]."""
    train_targets = np.asarray(train_targets)
    checks.whole("train_targets", train_targets, LEVELS)
    return np.median(train_targets, axis=0)


def constant_median_metrics(target, medians, weights) -> dict[str, Estimate]:
    """Mean absolute errors of the predictor whose answer is always `medians` [6]."""
    error = np.asarray(medians, np.float64) - np.asarray(target)
    return {
        "mae_zone_constant": bootstrap.mean(np.abs(error), weights),
        "mae_global_constant": bootstrap.mean(np.abs(error.sum(axis=1)), weights),
    }


def limit(error, deviations: float, weights):
    """The mean of the errors [n] plus so many of their standard deviations: [R].

    A limit of agreement with deviations of -LIMITS or LIMITS. The deviation is that of a
    sample (divided by n - 1), as in Bland and Altman 1986.
    """
    spread = weighted.standard_deviation(error, weights, lost=1)
    return weighted.mean(error, weights) + deviations * spread


def rounded(scores, top: int) -> np.ndarray:
    """The nearest whole score in 0..top, halves up."""
    return np.clip(np.floor(np.asarray(scores) + 0.5), 0, top).astype(int)


def ranked_probability(target, probs) -> np.ndarray:
    """Ranked probability score of each zone: [N, 6], [N, 6, 4] -> [N, 6]."""
    reached = np.asarray(target)[..., None] <= np.arange(LEVELS)
    return ((np.cumsum(probs, axis=-1) - reached) ** 2).sum(axis=-1)
