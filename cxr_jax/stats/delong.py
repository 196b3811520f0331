"""Interval and paired test of the area under the ROC curve (DeLong et al. 1988).

doi 10.2307/2531595, by ranks (Sun and Xu 2014, doi 10.1109/LSP.2014.2337313). It
takes images as independent: where patients have several, use the bootstrap.
"""

from typing import NamedTuple

import numpy as np

from cxr_jax.stats import laws, patients
from cxr_jax.stats.estimate import Estimate
from cxr_jax.stats.patients import LEVEL


class Comparison(NamedTuple):
    """Two areas on the same images: difference, its interval, two-sided p."""

    difference: Estimate
    p: float


def auroc(positive, scores, patient_ids) -> Estimate:
    """The area with DeLong's interval, on the scale of its log odds.

    That keeps the interval within 0 and 1 (Pepe 2003, section 5.2.4), and makes it
    another than that of pROC and of DeLong et al., which is on the scale of the area.
    No interval where all of one class stand above the other, and the variance is 0, or
    where a class has too few patients (`patients`).
    """
    positive = np.asarray(positive, bool)
    n, nan = len(positive), float("nan")
    if not 0 < positive.sum() < n:
        return Estimate(nan, nan, nan, n, "only one class is present")
    (area,), covariance = areas(positive, [scores])
    error = float(np.sqrt(covariance[0, 0]))
    if error == 0 or not np.isfinite(error):
        reason = "no interval: the classes are separated, or one has a single image"
        return Estimate(float(area), nan, nan, n, reason)
    least = _fewest(positive, patient_ids)
    if least < patients.LEAST:
        return Estimate(float(area), nan, nan, n, patients.few(least))
    odds = np.log(area / (1 - area))
    reach = laws.normal_quantile(0.5 + LEVEL / 2) * error / (area * (1 - area))
    lo, hi = (1 / (1 + np.exp(-(odds + sign * reach))) for sign in (-1, 1))
    return Estimate(float(area), float(lo), float(hi), n)


def compare(positive, scores, others, patient_ids) -> Comparison:
    """Area of `scores` minus that of `others`, on the same images."""
    positive = np.asarray(positive, bool)
    n, nan = len(positive), float("nan")
    if not 0 < positive.sum() < n:
        nothing = Estimate(nan, nan, nan, n, "only one class is present")
        return Comparison(nothing, nan)
    (one, other), covariance = areas(positive, [scores, others])
    difference = float(one - other)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if not variance > 1e-15:
        reason = "no interval: the two order the images alike"
        return Comparison(Estimate(difference, nan, nan, n, reason), nan)
    least = _fewest(positive, patient_ids)
    if least < patients.LEAST:
        return Comparison(Estimate(difference, nan, nan, n, patients.few(least)), nan)
    error = float(np.sqrt(variance))
    reach = laws.normal_quantile(0.5 + LEVEL / 2) * error
    estimate = Estimate(difference, difference - reach, difference + reach, n)
    return Comparison(estimate, 2 * laws.normal_tail(abs(difference) / error))


def _fewest(positive, patient_ids) -> int:
    """Patients of the rarer class."""
    ids = np.asarray(patient_ids)
    return min(len(np.unique(ids[members])) for members in (positive, ~positive))


def areas(positive, scores) -> tuple[np.ndarray, np.ndarray]:
    """Areas [K] of K scores [n] each, and their covariance [K, K].

    A positive's component is the share of negatives below it, a negative's that of the
    positives above it, ties counting half.
    """
    positive = np.asarray(positive, bool)
    of_positives, of_negatives = [], []
    for each in scores:
        each = np.asarray(each, np.float64)
        ranks = laws.ranks(each)
        inside = laws.ranks(each[positive]), laws.ranks(each[~positive])
        m, n = len(inside[0]), len(inside[1])
        of_positives.append((ranks[positive] - inside[0]) / n)
        of_negatives.append(1 - (ranks[~positive] - inside[1]) / m)
    m, n = positive.sum(), (~positive).sum()
    means = np.mean(of_positives, axis=1)
    if min(m, n) < 2:  # no variance of one
        return means, np.full((len(means), len(means)), np.nan)
    covariance = np.atleast_2d(np.cov(of_positives)) / m
    return means, covariance + np.atleast_2d(np.cov(of_negatives)) / n
