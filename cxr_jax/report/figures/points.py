"""The numbers behind the curves: statistics as functions of weights [R, N] -> [R, G].

As in `stats.weighted`: a row of weights says how often each image counts, undefined
values are NaN, and `bootstrap.replicates` makes intervals. Here a statistic has G
values, one at each point of a grid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cxr_jax.stats import bootstrap
from cxr_jax.stats.estimate import Estimate

# More points than pixels would not be seen.
GRID = np.linspace(0, 1, 101)
THRESHOLDS = np.linspace(0.01, 0.99, 99)
BINS = 10

# A quotient may fall this far below the grid's own rounding.
_ROUNDING = 1e-9


class Band(NamedTuple):
    """Pointwise 95 % intervals at the points of a grid, [G] each."""

    lo: np.ndarray
    hi: np.ndarray


class Ranked(NamedTuple):
    """Cases by decreasing probability.

    Attributes:
      order, positive: of the cases, [N].
      last, probs: [U], the last case of each distinct probability, and its value.
    """

    order: np.ndarray
    positive: np.ndarray
    last: np.ndarray
    probs: np.ndarray


def ranked(positive, probs) -> Ranked:
    """Sorts bool [N] and float [N], N >= 1, once for all resamples."""
    probs = np.asarray(probs, np.float64)
    order = np.argsort(-probs, kind="stable")
    falling = probs[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(order) - 1)
    return Ranked(order, np.asarray(positive, bool)[order], last, falling[last])


def called(cases: Ranked, weights) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives above a falling threshold, [R, U + 1] each.

    Nothing is above the first threshold, everything is above the last.
    """
    own = np.take(weights, cases.order, axis=1)
    found = np.zeros((2, len(own), len(cases.last) + 1))
    all_called = np.cumsum(own, axis=1)
    hits = np.cumsum(own * cases.positive, axis=1)
    found[0, :, 1:] = hits[:, cases.last]
    found[1, :, 1:] = (all_called - hits)[:, cases.last]
    return found[0], found[1]


def roc(positive, probs) -> tuple[np.ndarray, np.ndarray]:
    """The corners of the curve: 1 - specificity and sensitivity, from (0, 0)."""
    hits, alarms = (
        counts[0] for counts in called(ranked(positive, probs), _once(probs))
    )
    # A point on the line between its neighbours is not a corner.
    turns = (np.diff(hits, 2) != 0) | (np.diff(alarms, 2) != 0)
    corners = np.concatenate([[True], turns, [True]])
    return (alarms / alarms[-1])[corners], (hits / hits[-1])[corners]


def sensitivity(cases: Ranked, weights) -> np.ndarray:
    """Sensitivity at each 1 - specificity of GRID: [R, 101].

    Interpolated linearly between thresholds; the top of a vertical step.
    """
    hits, alarms = called(cases, weights)
    found = np.full((len(weights), len(GRID)), np.nan)
    for row in np.flatnonzero((hits[:, -1] > 0) & (alarms[:, -1] > 0)):
        shares = alarms[row] / alarms[row, -1], hits[row] / hits[row, -1]
        found[row] = np.interp(GRID, *shares)
    return found


def precision_recall(positive, probs) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at every threshold, until recall is 1."""
    recall, precision, _ = (
        values[0] for values in _precision(ranked(positive, probs), _once(probs))
    )
    end = np.searchsorted(recall, 1.0) + 1
    return recall[1:end], precision[1:end]


def precision(cases: Ranked, weights) -> np.ndarray:
    """Precision at the highest threshold that reaches the recall of GRID: [R, 101]."""
    recall, shares, everything = _precision(cases, weights)
    found = np.full((len(weights), len(GRID)), np.nan)
    for row in np.flatnonzero(np.isfinite(recall[:, 0])):
        reached = np.searchsorted(recall[row], GRID - _ROUNDING)
        # Recall 0 takes the highest probability in the resample.
        first = np.argmax(everything[row] > 0)
        found[row] = shares[row, np.maximum(reached, first)]
    return found


def bins(probs) -> np.ndarray:
    """The bin of each case, of 10 bins of about equal size; ties share a bin."""
    edges = np.percentile(probs, np.linspace(0, 100, BINS + 1))
    return np.searchsorted(edges[1:-1], probs)


def net_benefit(cases: Ranked, weights) -> np.ndarray:
    """`probability.net_benefit` at THRESHOLDS: [R, 99]."""
    reached = np.searchsorted(-cases.probs, -THRESHOLDS, "right")
    hits, alarms = (counts[:, reached] for counts in called(cases, weights))
    return (hits - _odds() * alarms) / weights.sum(axis=1, keepdims=True)


def net_benefit_of_all(positive) -> np.ndarray:
    """Net benefit of treating every case, at THRESHOLDS."""
    prevalence = np.mean(positive)
    return prevalence - (1 - prevalence) * _odds()


def band(statistic, counts) -> Band | None:
    """Percentile bootstrap intervals of a statistic: weights [r, N] -> [r, G].

    None if it is undefined in more than half of the resamples, or there are none.
    """
    drawn = bootstrap.replicates(statistic, counts)[1:]
    defined = drawn[np.isfinite(drawn).all(axis=1)]
    if not len(drawn) or len(defined) < len(drawn) / 2:
        return None
    tail = (1 - bootstrap.LEVEL) / 2
    # Transposed, neighbours lie together, which takes half the time.
    return Band(*np.quantile(np.ascontiguousarray(defined.T), (tail, 1 - tail), axis=1))


def shares(positive, place, counts) -> list[Estimate]:
    """Share of positives in each of the 10 bins, with its interval and its images."""
    positive = np.asarray(positive, bool)
    return [bootstrap.share(positive, place == k, counts) for k in range(BINS)]


def _precision(cases: Ranked, weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Recall, precision (0 if none) and cases above a falling threshold, [R, U + 1].

    Recall is NaN where only one class has weight.
    """
    hits, alarms = called(cases, weights)
    everything = hits + alarms
    shares = np.divide(hits, everything, out=np.zeros_like(hits), where=everything > 0)
    defined = (hits[:, -1:] > 0) & (alarms[:, -1:] > 0)
    recall = np.where(defined, hits / np.maximum(hits[:, -1:], 1), np.nan)
    return recall, shares, everything


def _odds() -> np.ndarray:
    return THRESHOLDS / (1 - THRESHOLDS)


def _once(probs) -> np.ndarray:
    return np.ones((1, len(probs)))
