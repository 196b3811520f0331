"""Whether a figure differs from nothing beyond chance, also as one of many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxr_jax.stats import laws

LEVEL = 0.05


def p_value(gaps: np.ndarray) -> float:
    """Two-sided p of a gap being 0, from its replicates [R + 1]; the first is the gap.

    The larger of twice the share of resamples on the far side of 0 and the normal one
    from their standard deviation: the share alone cannot be less than 1 / R, which
    Holm's correction of many would never let pass. NaN where the gap has no interval; 0
    where it is not 0 and all resamples are alike.
    """
    gap, drawn = float(gaps[0]), gaps[1:][np.isfinite(gaps[1:])]
    if not np.isfinite(gap) or len(drawn) <= len(gaps[1:]) / 2 or not len(drawn):
        return float("nan")
    spread = float(drawn.std())
    if spread <= 1e-12 * np.abs(drawn).max():
        return float(gap == 0)
    far = min((drawn <= 0).mean(), (drawn >= 0).mean())
    return float(min(1.0, max(2 * far, 2 * laws.normal_tail(abs(gap) / spread))))


def holm(p: Sequence[float]) -> list[float]:
    """Corrected so that one false alarm among all has at most the chance it says.

    Holm 1979, Scandinavian Journal of Statistics 6: 65-70. NaN stays, uncounted.
    """
    values = np.asarray(p, np.float64)
    found = np.full(len(values), np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return found.tolist()
