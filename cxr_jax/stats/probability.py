"""Calibration: statistics of probabilities as functions of weights [R, n] -> [R].

As in `weighted`: a row of the weights says how often each image counts, and what is not
defined for a row is NaN.
"""

from typing import Any

import numpy as np

from cxr_jax.stats import weighted

BINS = 15
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


def calibration_error(correct, confidence, weights):
    """Expected calibration error over 15 bins of equally many cases.

    Mean over bins of |share correct - mean confidence| (Nixon et al. 2019, arXiv
    1904.01685). Cases of equal confidence share a bin. The bins are those of the whole
    split for every resample. It is above 0 for a perfect model too, the more so the
    fewer cases there are. correct, confidence: [n], or [n, Z] of zones.
    """
    confidence = np.asarray(confidence, np.float64)
    images = len(confidence)
    _, rank, count = np.unique(confidence, return_inverse=True, return_counts=True)
    place = (np.cumsum(count) - 1)[rank] * BINS // confidence.size
    place = place.reshape(images, -1)
    gap = (np.asarray(correct, np.float64) - confidence).reshape(images, -1)
    per_bin = np.zeros((images, BINS))
    for column in range(place.shape[1]):
        per_bin[np.arange(images), place[:, column]] += gap[:, column]
    cases = weights.sum(axis=1) * place.shape[1]
    return np.abs(weights @ per_bin).sum(axis=1) / cases


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
