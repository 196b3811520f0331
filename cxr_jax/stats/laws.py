"""Quantiles and tails of three distributions, and ranks.

As scipy.stats has them, whose import takes longer than most of what is asked of it.
"""

from __future__ import annotations

import numpy as np
from scipy import special


def normal_quantile(share: float) -> float:
    """Below it lies this share of the normal distribution."""
    return float(special.ndtri(share))


def normal_tail(x: float) -> float:
    """The share of the normal distribution above x."""
    return float(special.ndtr(-x))


def t_quantile(share: float, freedom: float) -> float:
    """Below it lies this share of Student's t distribution."""
    return float(special.stdtrit(freedom, share))


def t_tail(x: float, freedom: float) -> float:
    """The share of Student's t distribution above x."""
    return float(special.stdtr(freedom, -x))


def beta_quantile(share: float, a: float, b: float) -> float:
    """Below it lies this share of the beta distribution."""
    return float(special.betaincinv(a, b, share))


def exact_interval(hits: int, trials: int, level: float) -> tuple[float, float]:
    """Of a share (Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404)."""
    tail, misses = (1 - level) / 2, trials - hits
    low = beta_quantile(tail, hits, misses + 1) if hits else 0.0
    high = beta_quantile(1 - tail, hits + 1, misses) if misses else 1.0
    return low, high


def ranks(values: np.ndarray) -> np.ndarray:
    """float64 [n], from 1 on; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
