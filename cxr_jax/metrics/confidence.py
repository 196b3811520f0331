"""Whether a split's probabilities are true, as they are and after what val settled."""

from functools import partial
from typing import Any

import numpy as np

from cxr_jax.metrics import checks
from cxr_jax.stats import bootstrap, calibration, conformal, probability, weighted
from cxr_jax.stats.estimate import Estimate

SEPARATED = "the classes are separated, or only one is present"


def settle(target, probs) -> dict[str, Any]:
    """What val says of probabilities: temperature, vector scaling, and the size of sets.

    target: [N] or [N, Z]; probs: [..., K].
    """
    temperature = calibration.fit_temperature(probs, target)
    tempered = calibration.tempered(probs, temperature)
    scale, shift = calibration.fit_vector(probs, target)
    return {
        "temperature": temperature,
        "vector": {"scale": scale, "shift": shift},
        "least": conformal.settle(target, tempered),
    }


def confidence_metrics(
    target,
    probs,
    patient_ids,
    settled: dict[str, Any],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Calibration before and after the temperature, and prediction sets.

    target: [N] whole classes, or [N, Z] of zones, which are pooled. probs: [..., K].
    settled: of `settle`, on val. brier, ece and, of two classes, calibration_slope
    and calibration_intercept; the same with `_tempered` behind, and with `_vector`
    after vector scaling. coverage_90 and
    set_size_90: the share of cases whose truth is in the set, and how many classes a
    set holds, of split conformal prediction for 90 %. n is the number of images.
    """
    target, probs = np.asarray(target, int), np.asarray(probs, np.float64)
    checks.finite("predicted probabilities", probs)
    classes = probs.shape[-1]
    counts = bootstrap.weights(patient_ids, resamples, seed)
    found = {}

    def add(name, statistic, undefined="no images"):
        found[name] = bootstrap.estimate(statistic, counts, undefined=undefined)

    after = calibration.tempered(probs, settled["temperature"])
    scaled = calibration.vector_scaled(probs, **settled["vector"])
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
    sets = conformal.sets(after, settled["least"]).sum(axis=-1)
    held = conformal.truth(target, after) >= settled["least"]
    add("coverage_90", partial(weighted.mean, held))
    add("set_size_90", partial(weighted.mean, sets))
    return found


def _error(correct, confidence):
    return partial(probability.calibration_error, correct, confidence)
