"""Calibration: statistics of probabilities as functions of weights [R, n] -> [R].

As in `weighted`: a row of the weights says how often each image counts, and what is not
defined for a row is NaN.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from cxr_jax.stats import weighted
from cxr_jax.stats.generator import generator

MOST_BINS = 15
# Probabilities nearer to 0 or 1 than this are taken to be this near: their log odds
# would be infinite.
NEAREST = 1e-6

_NEWTON_STEPS = 30


def brier(target, probs, weights):
    """Mean squared error of the probabilities (Brier 1950), summed over classes.

    target: [n], or [n, Z] of zones, which are pooled; probs: [..., K]. With two classes
    the error of one class counts, as in scikit-learn.
    """
    hit = np.asarray(target)[..., None] == np.arange(probs.shape[-1])
    squares = ((probs - hit) ** 2).sum(axis=-1)
    if probs.shape[-1] == 2:
        squares = squares / 2
    return weighted.mean(squares, weights)


class Binned(NamedTuple):
    """Cases in bins of equally many, by their confidence; equal ones share a bin.

    Attributes:
      place: int [N], the bin of each case.
      gap: [N], 1 or 0 for what was right minus the confidence.
    """

    place: np.ndarray
    gap: np.ndarray


def bins(cases: int) -> int:
    """How many bins: the cube root of the cases, from 2 to 15.

    With more the noise of a bin outweighs what it shows (Freedman and Diaconis 1981,
    doi 10.1007/BF01025868): 4 for 60 cases, 10 for 1,000.
    """
    return int(np.clip(round(cases ** (1 / 3)), 2, MOST_BINS))


def binned(correct, confidence) -> Binned:
    """The cases of [N] or [N, Z] pooled; correct: bool, confidence: its probability."""
    confidence = np.asarray(confidence, np.float64).ravel()
    cases = confidence.size
    _, rank, count = np.unique(confidence, return_inverse=True, return_counts=True)
    place = (np.cumsum(count) - 1)[rank] * bins(cases) // cases
    return Binned(place, np.asarray(correct, np.float64).ravel() - confidence)


def calibration_error(correct, confidence) -> float:
    """Expected calibration error over bins of equally many cases.

    Mean over cases of their bin's |share correct - mean confidence| (Nixon et al. 2019,
    arXiv 1904.01685). It is above 0 for a perfect model too, the more so the fewer cases
    there are: read it beside `calibrated_errors`. correct, confidence: [N] or [N, Z].
    """
    place, gap = binned(correct, confidence)
    return float(np.abs(np.bincount(place, gap)).sum() / len(gap))


def debiased_calibration_error(correct, confidence, patient) -> float:
    """Root mean square of the bins' gaps, without what chance adds to them.

    The square of a bin's gap is estimated from pairs of cases of different patients
    alone, whose mean is that of the true gap's square, so the mean square over the bins
    is unbiased (Ferro and Fricker 2012, doi 10.1002/qj.1924; Kumar et al. 2019, arXiv
    1909.10155; by pairs Widmann et al. 2019, arXiv 1910.11385). 0 where it is below 0.
    patient: int [N] of each image.
    """
    return float(np.sqrt(max(0.0, mean_square_gap(correct, confidence, patient))))


def mean_square_gap(correct, confidence, patient) -> float:
    """The mean over cases of their bin's squared gap; below 0 by chance. NaN: no pairs."""
    place, gap = binned(correct, confidence)
    patient = np.repeat(patient, gap.size // len(patient))
    shape = place.max() + 1, patient.max() + 1
    cell = place * shape[1] + patient
    sums = np.bincount(cell, gap, shape[0] * shape[1]).reshape(shape)
    cases = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    pairs = cases.sum(axis=1) ** 2 - (cases**2).sum(axis=1)
    squares = sums.sum(axis=1) ** 2 - (sums**2).sum(axis=1)
    known = pairs > 0
    if not known.any():
        return float("nan")
    weight = cases.sum(axis=1)[known]
    return float((squares[known] / pairs[known] * weight).sum() / weight.sum())


def calibrated_errors(
    correct, confidence, patient, draws: int, seed: int = 0
) -> np.ndarray:
    """`calibration_error` of a model whose confidence is right: float64 [draws].

    What was right is drawn again with the probabilities that the model gave (parametric
    bootstrap; Broecker and Smith 2007, doi 10.1175/WAF993.1). Cases of one patient are
    right together as often as they were: their draws share a normal part, whose weight
    is the correlation of the residuals within patients. patient: int [N].
    """
    confidence = np.asarray(confidence, np.float64)
    place, _ = binned(correct, confidence)
    flat = confidence.ravel()
    of_case = np.repeat(patient, flat.size // len(patient))
    shared = _correlation_within(np.asarray(correct).ravel(), flat, of_case)
    limit = special.ndtri(flat)
    patients, numbers = of_case.max() + 1, generator(seed, "calibrated")
    found = np.empty(draws)
    for k in range(draws):
        normal = np.sqrt(1 - shared) * numbers.standard_normal(flat.size)
        if shared > 0:
            normal += np.sqrt(shared) * numbers.standard_normal(patients)[of_case]
        gap = (normal < limit) - flat
        found[k] = np.abs(np.bincount(place, gap)).sum() / flat.size
    return found


def _correlation_within(correct, confidence, patient) -> float:
    """Correlation, from 0 to 1, of the normal parts of two cases of one patient.

    That of the residuals over pairs of cases, as a correlation of normal numbers that
    are cut in the middle (Pearson 1900).
    """
    spread = np.sqrt(np.maximum(confidence * (1 - confidence), NEAREST))
    residual = np.clip((correct - confidence) / spread, -5, 5)
    cases = np.bincount(patient)
    sums = np.bincount(patient, residual)
    squares = np.bincount(patient, residual**2)
    pairs = (cases * (cases - 1)).sum()
    if not pairs:
        return 0.0
    together = (sums**2 - squares).sum() / pairs
    alone = squares.sum() / cases.sum()
    return float(np.sin(np.pi / 2 * np.clip(together / alone, 0, 1))) if alone else 0.0


def calibration_slope(positive, probs, weights):
    """Slope of the outcome on the log odds: 1 is right, below it too extreme.

    Logistic regression of Cox 1958 (doi 10.1093/biomet/45.3-4.562; Van Calster et al.
    2019, doi 10.1186/s12916-019-1466-7). NaN where the classes are separated, and the
    slope would be infinite.
    """
    odds = _log_odds(probs)
    return _logistic(np.stack([np.ones_like(odds), odds]), positive, weights)[:, 1]


def calibration_intercept(positive, probs, weights):
    """Calibration in the large: by how much the log odds are too low.

    The intercept of the regression whose slope is held at 1; 0 is right.
    """
    odds = _log_odds(probs)
    ones = np.ones((1, len(odds)))
    return _logistic(ones, positive, weights, offset=odds)[:, 0]


def net_benefit(positive, probs, threshold: float, weights):
    """Net benefit per image: true positives minus false ones at the odds of the threshold.

    Vickers and Elkin 2006, doi 10.1177/0272989X06295361. Of treating all it is that of
    probs = 1, of treating none 0.
    """
    called = np.asarray(probs) >= threshold
    odds = threshold / (1 - threshold)
    value = np.where(positive, 1.0, -odds) * called
    return weights @ value / weights.sum(axis=1)


def _log_odds(probs):
    probs = np.clip(np.asarray(probs, np.float64), NEAREST, 1 - NEAREST)
    return np.log(probs / (1 - probs))


def _logistic(columns, positive, weights, offset: Any = 0.0):
    """Coefficients [R, p] of a logistic regression in every row, by Newton's method.

    columns: [p, n]. NaN where it does not converge: separated or of one class. All
    rows begin with the coefficients of equal weights, from where few steps are left.
    """
    positive = np.asarray(positive, np.float64)
    whole = np.ones((1, len(positive)))
    start = _newton(columns, positive, whole, np.zeros((1, len(columns))), offset)
    if not np.isfinite(start).all():
        return np.full((len(weights), len(columns)), np.nan)
    start = np.repeat(start, len(weights), axis=0)
    return _newton(columns, positive, weights, start, offset)


def _newton(columns, positive, weights, found, offset):
    size = len(columns)
    products = (columns[:, None] * columns[None]).reshape(size * size, -1)
    ok, step = np.ones(len(weights), bool), np.zeros_like(found)
    for _ in range(_NEWTON_STEPS):
        # tanh cannot overflow, and needs no clipping.
        likely = 0.5 + 0.5 * np.tanh((found @ columns + offset) / 2)
        slope = (weights * (positive - likely)) @ columns.T
        curvature = (weights * (likely * (1 - likely))) @ products.T
        curvature = curvature.reshape(-1, size, size)
        ok &= np.linalg.cond(curvature) < 1e12
        curvature[~ok] = np.eye(size)
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        found = np.where(ok[:, None], found + step, found)
        if not (np.abs(step[ok]) > 1e-6).any():  # the next would be some 1e-12
            return np.where(ok[:, None], found, np.nan)
    moving = np.abs(step).max(axis=1) > 1e-6
    return np.where((ok & ~moving)[:, None], found, np.nan)
