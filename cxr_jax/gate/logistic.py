"""Logistic regression with a ridge, by Newton's method."""

from __future__ import annotations

import numpy as np

_RIDGE = 3.0
_STEPS, _CLOSE = 30, 1e-3


def fit(
    x: np.ndarray, positive: np.ndarray, start: np.ndarray | None = None
) -> np.ndarray:
    """Weights and, last, the bias [d + 1] of the log odds of `positive`.

    Both classes weigh as much as there are rows of the rarer one. Minimised is the sum
    of the weighted log losses and half the ridge times the squared weights.

    Args:
      x: float [n, d].
      positive: bool [n].
      start: an earlier solution.
    """
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    count = positive.sum(), (~positive).sum()
    weight = np.where(positive, min(count) / count[0], min(count) / count[1])
    ridge = np.full(x.shape[1], _RIDGE)
    ridge[-1] = 0
    found = np.zeros(x.shape[1]) if start is None else start
    for _ in range(_STEPS):
        odds = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
        slope = x.T @ (weight * (odds - positive)) + ridge * found
        scaled = x * np.sqrt(weight * odds * (1 - odds))[:, None]
        curve = scaled.T @ scaled
        curve[np.diag_indices(len(found))] += ridge + 1e-9
        step = np.linalg.solve(curve, slope)
        found = found - step
        if np.abs(step).max() < _CLOSE:
            break
    return found
