"""How far a film is from those of training: Mahalanobis distance with few films.

Lee et al. 2018 (arXiv 1807.03888) measure it on the features of the network. Here the
covariance is that of probabilistic PCA (Tipping and Bishop 1999, doi
10.1111/1467-9868.00196): the leading directions have their own variance and all others
share one, so that it can be inverted with fewer films than features.
"""

from __future__ import annotations

import numpy as np

from cxr_jax.gate.fitted import Distance

_DIRECTIONS = 64  # at most
_FILMS_A_DIRECTION = 5  # at least
_TINY = 1e-6  # of the mean variance: no direction is without any


def fit(x: np.ndarray) -> Distance:
    """The distribution of some rows [n, d], without a limit (infinite)."""
    n, d = x.shape
    mean = x.mean(0)
    _, scales, basis = np.linalg.svd(x - mean, full_matrices=False)
    variances = scales**2 / max(n - 1, 1)
    total = variances.sum() or float(d)
    k = min(_DIRECTIONS, n // _FILMS_A_DIRECTION, d - 1)
    rest = max((total - variances[:k].sum()) / (d - k), _TINY * total / d)
    return Distance(
        mean.astype(np.float32),
        basis[:k].astype(np.float32),
        np.maximum(variances[:k], rest).astype(np.float32),
        float(rest),
        np.inf,
    )


def distances(found: Distance, x: np.ndarray) -> np.ndarray:
    """The root mean square, over d, of how many standard deviations away rows are.

    With z = basis (x - mean) it is the root of
    (sum(z^2 / variances) + (sum((x - mean)^2) - sum(z^2)) / rest) / d; the difference
    is taken as 0 where rounding makes it negative.

    Args:
      x: float [n, d].

    Returns: float64 [n], about 1 for films like those of training.
    """
    away = x.astype(np.float64) - found.mean
    z = away @ found.basis.T.astype(np.float64)
    beside = np.maximum((away**2).sum(1) - (z**2).sum(1), 0)
    squares = (z**2 / found.variances).sum(1) + beside / found.rest
    return np.sqrt(squares / x.shape[1])
