"""Agreement of predicted Brixia scores with a reader's, beyond the mean error."""

from functools import partial

import numpy as np

from cxr_jax.metrics.brixia import CONSTANT, rounded
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.zones import LEVELS, ZONES

# Zones A to C lie in the patient's right lung, which is on the left of the picture.
SIDES = {"right": slice(0, 3), "left": slice(3, 6)}
# Of normal differences, 95 % lie within so many standard deviations.
LIMITS = 1.96


def scores_agreement(
    target, expected, patient_ids, resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Per zone, per side and of the whole: [N, 6] whole scores, [N, 6] predicted.

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
    counts = bootstrap.weights(patient_ids, resamples, seed)
    found = {}

    def add(name, statistic, *values):
        found[name] = bootstrap.estimate(
            partial(statistic, *values), counts, undefined=CONSTANT
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
    off = np.abs(rounded(expected.sum(axis=1), 18) - target.sum(axis=1))
    add("exact_global", weighted.mean, off == 0)
    add("within_one_global", weighted.mean, off <= 1)
    return found


def limit(error, deviations: float, weights):
    """The mean of the errors [n] and so many of their standard deviations more: [R].

    A limit of agreement with deviations of -LIMITS or LIMITS. The deviation is that of a
    sample (divided by n - 1), as in Bland and Altman 1986.
    """
    spread = weighted.standard_deviation(error, weights, lost=1)
    return weighted.mean(error, weights) + deviations * spread


def second_reader_metrics(
    expected, first, second, patient_ids, resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """The model and the first reader, each against the second: the readers are the ceiling.

    expected, first, second: [N, 6] scores. mae, icc and kappa of zones and of the global
    score, `*_junior` of the model, `*_junior_reader` of the first reader.
    """
    second = np.asarray(second, np.float64)
    counts = bootstrap.weights(patient_ids, resamples, seed)
    found = {}
    for suffix, scores in (("junior", expected), ("junior_reader", first)):
        scores = np.asarray(scores, np.float64)
        pairs = {
            "zone": (second, scores, LEVELS - 1),
            "global": (second.sum(axis=1), scores.sum(axis=1), 18),
        }
        for scope, (theirs, ours, top) in pairs.items():
            for name, statistic in (
                ("mae", partial(weighted.mean, np.abs(ours - theirs))),
                ("icc", partial(weighted.intraclass, np.stack([theirs, ours], -1))),
                (
                    "kappa",
                    partial(weighted.quadratic_kappa, theirs, rounded(ours, top)),
                ),
            ):
                found[f"{name}_{scope}_{suffix}"] = bootstrap.estimate(
                    statistic, counts, undefined=CONSTANT
                )
    return found
