"""Intervals: the percentile bootstrap over patients (Efron and Tibshirani 1993).

Areas under ROC curves have intervals on the scale of the log odds: see `of_area`.

Images of one patient are not independent, so whole patients are drawn. A resample is
a row of weights (how often each image was drawn), and a statistic is a function of
weights, vectorised over rows: nothing is copied or sorted again per resample.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import threadpoolctl
from scipy import special

from cxr_jax.stats import laws, patients, weighted
from cxr_jax.stats.estimate import Estimate, point
from cxr_jax.stats.generator import generator
from cxr_jax.stats.patients import LEVEL, Rests

# Weights handled at once: a block that stays in the processor's cache is several
# times faster than all rows together.
BLOCK = 2**18
# Float64 weights [r, n] -> [r], NaN where it is not defined.
Statistic = Callable[[np.ndarray], np.ndarray]
ALIKE = "no interval: all resamples are alike"
FEW = f"no interval: fewer than {patients.LEAST} patients in a group it rests on"
EXACT = "exact interval over patients"

_LIBRARIES = threadpoolctl.ThreadpoolController()


class Resamples(NamedTuple):
    """One draw of patients, for all figures of an evaluation.

    Attributes:
      weights: [resamples + 1, n], of `weights`.
      patient_ids: [n], the unit that was drawn.
      seed: of the draw.
    """

    weights: np.ndarray
    patient_ids: np.ndarray
    seed: int

    def among(self, members: np.ndarray) -> np.ndarray:
        """Weights of the images [n] bool alone, drawn from their own patients."""
        if members.all():
            return self.weights
        own = self.patient_ids[members]
        return weights(own, len(self.weights) - 1, self.seed)


def draw(patient_ids, resamples: int, seed: int = 0) -> Resamples:
    """The draw of an evaluation; arguments as in `weights`."""
    patient_ids = np.asarray(patient_ids)
    return Resamples(weights(patient_ids, resamples, seed), patient_ids, seed)


def weights(patient_ids, resamples: int, seed: int = 0) -> np.ndarray:
    """How often each image is drawn: [resamples + 1, n] uint16; row 0 is all ones.

    patient_ids: [n], the unit that is drawn. The draw depends on the seed and the
    set of patients, not on the order of the images.
    """
    patients, patient = np.unique(np.asarray(patient_ids), return_inverse=True)
    numbers = generator(seed, "bootstrap")
    counts = np.ones((resamples + 1, len(patient)), np.uint16)
    for row in counts[1:]:
        drawn = (
            numbers.integers(0, len(patients), len(patients)) if patients.size else []
        )
        row[:] = np.bincount(drawn, minlength=len(patients))[patient]
    return counts


def replicates(statistic: Statistic, counts: np.ndarray) -> np.ndarray:
    """The statistic of every row: [resamples + 1]; the first is the whole split's.

    NaN in all rows but the first where it rests on too few patients: see `patients`.

    counts: of `weights`.
    """
    on = statistic.on if isinstance(statistic, Rests) else ()
    if _rests_on_few(counts, on):
        return _withheld(per_row(statistic, counts[:1]), len(counts))
    return per_row(statistic, counts)


def _rests_on_few(counts: np.ndarray, on: Sequence[np.ndarray]) -> bool:
    if len(counts) == 1 or counts.shape[1] == 0:
        return False
    return patients.fewest(counts, on) < patients.LEAST


def _withheld(values: np.ndarray, rows: int) -> np.ndarray:
    nothing = np.full((rows - 1, *values.shape[1:]), np.nan)
    return np.concatenate([values[:1], nothing])


def per_row(statistic: Statistic, counts: np.ndarray) -> np.ndarray:
    """The statistic of every row, however few patients there are."""
    if counts.shape[1] == 0:
        return np.full(len(counts), np.nan)
    rows = max(1, BLOCK // counts.shape[1])

    def part(start: int) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return statistic(counts[start : start + rows].astype(np.float64))

    starts = range(0, len(counts), rows)
    if len(starts) == 1:
        return part(0)
    # numpy releases the interpreter's lock. The order of the parts is kept.
    # Threads of BLAS would compete with ours and double the time.
    with (
        _LIBRARIES.limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        return np.concatenate(list(pool.map(part, starts)))


def summary(
    values: np.ndarray, n: int, *, undefined: str, area_of: int = 0
) -> Estimate:
    """Value and 95 % percentile interval from `replicates`.

    n: images that the figure is computed from. undefined: the reason to give where the
    statistic is not defined on the split itself. area_of: of an area under a ROC curve,
    the patients of the rarer class; see `of_area`.
    Resamples where it is not defined are left out, and counted in the reason where
    they are more than one in twenty. There is no interval where more than half are
    undefined, all are (too few patients), or all are alike.
    """
    value, resampled = float(values[0]), values[1:]
    if n == 0:
        return point(math.nan, 0, "no images")
    if not math.isfinite(value):
        return point(math.nan, n, undefined)
    if not len(resampled):
        return point(value, n, "no interval: no resamples asked for")
    defined = resampled[np.isfinite(resampled)]
    lost = np.mean(~np.isfinite(resampled))
    if lost == 1:
        return point(value, n, FEW)
    if lost > 0.5:
        reason = f"no interval: undefined in {lost:.0%} of the resamples"
        return point(value, n, reason)
    if np.ptp(defined) <= 1e-12 * np.abs(defined).max():
        return point(value, n, ALIKE)
    if area_of > 1 and 0 < value < 1:
        lo, hi = of_area(value, defined, area_of)
    else:
        tail = (1 - LEVEL) / 2
        lo, hi = (float(x) for x in np.quantile(defined, (tail, 1 - tail)))
    reason = (
        f"{lost:.0%} of the resamples undefined and left out" if lost > 0.05 else ""
    )
    return Estimate(value, lo, hi, n, reason)


def of_area(value: float, resampled: np.ndarray, patients: int) -> tuple[float, float]:
    """The interval of an area: the spread of the resamples, on the scale of log odds.

    Near 1 areas are skewed, and percentiles of few patients are too short: with five to
    ten positive patients they hold an area of 0.92 in 80 to 88 %. The quantile of
    Student's t makes up for the few, as for a mean; the log odds keep the interval
    within 0 and 1 (Pepe 2003, section 5.2.4). docs/metrics.md has the simulation.

    Args:
      value: the area, within 0 and 1.
      resampled: that of every resample.
      patients: of the rarer class, at least 2.
    """
    error = np.std(resampled, ddof=1) / (value * (1 - value))
    odds = math.log(value / (1 - value))
    reach = laws.t_quantile(0.5 + LEVEL / 2, patients - 1) * error
    lo, hi = special.expit((odds - reach, odds + reach))
    return float(lo), float(hi)


def area_of(statistic: Statistic, counts: np.ndarray) -> int:
    """Patients of the rarer class of an area under a ROC curve; 0 of other statistics."""
    if not isinstance(statistic, Rests) or not statistic.is_area:
        return 0
    is_drawn = len(counts) > 1 and counts.shape[1] > 0
    return patients.fewest(counts, statistic.on) if is_drawn else 0


def estimate(
    statistic: Statistic,
    counts: np.ndarray,
    *,
    undefined: str,
    values: np.ndarray | None = None,
) -> Estimate:
    """`summary` of `replicates`; n is all images, or the cases of a share.

    A share of exactly 0 or 1 has the exact interval over its patients: a patient with
    several images counts once.

    values: of `replicates`, where they are known.
    """
    n = counts.shape[1]
    if isinstance(statistic, Rests) and statistic.is_share and statistic.on:
        n = int(statistic.on[0].sum())
    values = replicates(statistic, counts) if values is None else values
    found = summary(values, n, undefined=undefined, area_of=area_of(statistic, counts))
    if not isinstance(statistic, Rests):
        return _reasoned(found, counts, ())
    is_open = found.is_defined and not found.has_interval and len(counts) > 1
    if statistic.is_share and is_open and found.value in (0.0, 1.0):
        size = patients.number(counts, *statistic.on[:1])
        lo, hi = patients.exact(size * int(found.value), size)
        return Estimate(found.value, lo, hi, n, EXACT)
    return _reasoned(found, counts, statistic.on)


def ends(found: Estimate) -> tuple[float, float]:
    """Of the interval; the value where all resamples are alike; else NaN: not known."""
    if found.reason == ALIKE:
        return found.value, found.value
    return found.lo, found.hi


def of_rows(
    values: np.ndarray, counts: np.ndarray, on: Sequence[np.ndarray], *, undefined: str
) -> Estimate:
    """`estimate` of values of every row that are known: [R + 1].

    on: the images that they rest on, see `patients.Rests`.
    """
    if _rests_on_few(counts, on):
        values = _withheld(values, len(counts))
    found = summary(values, counts.shape[1], undefined=undefined)
    return _reasoned(found, counts, on)


def _reasoned(found: Estimate, counts: np.ndarray, on) -> Estimate:
    if found.reason != FEW:
        return found
    return found._replace(reason=patients.few(patients.fewest(counts, on)))


def mean(
    values, counts, *, is_share: bool = False, undefined: str = "no images"
) -> Estimate:
    """`estimate` of the mean of [n] values, or of [n, Z] of zones, which are pooled.

    is_share: the values are shares themselves; those of true and false always are.
    """
    values = np.asarray(values)
    is_share = is_share or values.dtype == bool
    statistic = Rests(partial(weighted.mean, values), (), is_share)
    return estimate(statistic, counts, undefined=undefined)


def share(hits, cases, counts, *, undefined: str = "no images") -> Estimate:
    """`estimate` of the share of the cases that are hits: bool [n] each; n is the cases."""
    statistic = Rests(partial(weighted.ratio, hits & cases, cases), (cases,), True)
    return estimate(statistic, counts, undefined=undefined)
