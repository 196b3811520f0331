"""Intervals: the percentile bootstrap over patients (Efron and Tibshirani 1993).

Images of one patient are not independent, so whole patients are drawn. A resample is
a row of weights (how often each image was drawn), and a statistic is a function of
weights, vectorised over rows: nothing is ever copied or re-sorted per resample.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import threadpoolctl

from cxr_jax.stats.estimate import Estimate
from cxr_jax.stats.generator import generator

# Weights handled at once: a block that stays in the processor's cache is several
# times faster than all rows together.
BLOCK = 2**18
LEVEL = 0.95
ALIKE = "no interval: all resamples are alike"

_LIBRARIES = threadpoolctl.ThreadpoolController()


def weights(patient_ids, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """How often each image is drawn: [resamples + 1, n] uint16; row 0 is all ones.

    patient_ids: [n], the unit that is drawn. The draw depends on the seed and the
    set of patients, not on the order of the images.
    """
    patients, patient = np.unique(np.asarray(patient_ids), return_inverse=True)
    draw = generator(seed, "bootstrap")
    counts = np.ones((resamples + 1, len(patient)), np.uint16)
    for row in counts[1:]:
        drawn = draw.integers(0, len(patients), len(patients)) if patients.size else []
        row[:] = np.bincount(drawn, minlength=len(patients))[patient]
    return counts


def replicates(
    statistic: Callable[[np.ndarray], np.ndarray], counts: np.ndarray
) -> np.ndarray:
    """The statistic of every row: [resamples + 1]; the first is the whole split's.

    statistic: float64 weights [r, n] -> [r], NaN where it is not defined.
    counts: from `weights`.
    """
    if counts.shape[1] == 0:
        return np.full(len(counts), np.nan)
    rows = max(1, BLOCK // counts.shape[1])

    def part(start: int) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return statistic(counts[start : start + rows].astype(np.float64))

    starts = range(0, len(counts), rows)
    if len(starts) == 1:
        return part(0)
    # numpy works without the interpreter's lock. The order of the parts is kept.
    # Threads of BLAS would spin beside ours, and take twice the time.
    with (
        _LIBRARIES.limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        return np.concatenate(list(pool.map(part, starts)))


def summary(values: np.ndarray, n: int, *, undefined: str) -> Estimate:
    """Value and 95 % percentile interval from `replicates`.

    n: images the figure rests on. undefined: the reason to give where the statistic
    is not defined on the split itself.
    Resamples where it is not defined are left out, and counted in the reason where
    they are more than one in twenty. There is no interval where more than half are
    undefined, or all are alike: one patient, or a share of exactly 0 or 1.
    """
    nan = float("nan")
    value, resampled = float(values[0]), values[1:]
    if n == 0:
        return Estimate(nan, nan, nan, 0, "no images")
    if not np.isfinite(value):
        return Estimate(nan, nan, nan, n, undefined)
    if not len(resampled):
        return Estimate(value, nan, nan, n, "no interval: no resamples asked for")
    defined = resampled[np.isfinite(resampled)]
    lost = np.mean(~np.isfinite(resampled))
    if lost > 0.5:
        reason = f"no interval: undefined in {lost:.0%} of the resamples"
        return Estimate(value, nan, nan, n, reason)
    if np.ptp(defined) <= 1e-12 * np.abs(defined).max():
        return Estimate(value, nan, nan, n, ALIKE)
    tail = (1 - LEVEL) / 2
    lo, hi = (float(x) for x in np.quantile(defined, (tail, 1 - tail)))
    reason = (
        f"{lost:.0%} of the resamples undefined and left out" if lost > 0.05 else ""
    )
    return Estimate(value, lo, hi, n, reason)


def estimate(statistic, counts, *, undefined: str, n: int | None = None) -> Estimate:
    """`summary` of `replicates`; n is all images unless given."""
    n = counts.shape[1] if n is None else n
    return summary(replicates(statistic, counts), n, undefined=undefined)
