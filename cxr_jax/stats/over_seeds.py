"""Figures over seeds and patients at once: what would others who train again find?

A mean over seeds is uncertain for two reasons: other patients might have been tested,
and other seeds drawn. Both variances are added (seeds and patients are crossed; the
part that both share is counted twice, which makes intervals slightly too wide), and the
interval is that of Student's t with the degrees of freedom of Satterthwaite 1946 (doi
10.2307/3002019). A bootstrap over three seeds would be far too sure (Bouthillier et al.
2021, arXiv 2103.03098).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from cxr_jax.stats import laws
from cxr_jax.stats.estimate import Estimate, point, undefined
from cxr_jax.stats.patients import LEVEL

POWER = 0.8
ONE_SEED = "one seed: how far seeds differ is not in the interval"


class Effect(NamedTuple):
    """A mean over seeds, or the difference of two.

    Attributes:
      estimate: with its 95 % interval.
      p: two-sided, of its being 0; NaN where there is no interval.
      least: the smallest size that would have been found, at a level of 5 %, 80 times in
        100; NaN where there is no interval.
    """

    estimate: Estimate
    p: float
    least: float


class _Mean(NamedTuple):
    """A mean over seeds with its two variances and their degrees of freedom."""

    value: float
    of_patients: float
    of_seeds: float
    seeds: int
    patients: int


def mean(replicates: np.ndarray, patients: int, images: int) -> Effect:
    """The mean over K seeds.

    Args:
      replicates: [K, R + 1] of `bootstrap.replicates`, all over the same resamples;
        R = 0 where there are none, and the interval is then over seeds alone.
      patients, images: that the figure is computed from.
    """
    return _effect(_mean(np.asarray(replicates), patients), images)


def difference(
    one: np.ndarray, other: np.ndarray, patients: int, images: int, *, paired: bool
) -> Effect:
    """The mean of `other` minus that of `one`; all over the same resamples.

    Args:
      one, other: [K, R + 1] and [L, R + 1] of `bootstrap.replicates`.
      patients, images: that the figures are computed from.
      paired: row k of both has the same seed.
    """
    one, other = np.asarray(one), np.asarray(other)
    if paired:
        return _effect(_mean(other - one, patients), images)
    gap = _mean((other.mean(axis=0) - one.mean(axis=0))[None], patients)
    parts = [_mean(each, patients) for each in (one, other)]
    return _effect(gap, images, parts)


def _mean(values: np.ndarray, patients: int) -> _Mean:
    """values: [K, R + 1]."""
    seeds, over = len(values), values.mean(axis=0)
    return _Mean(
        float(over[0]),
        _spread(over[1:]),
        float(values[:, 0].var(ddof=1)) / seeds if seeds > 1 else 0.0,
        seeds,
        patients,
    )


def _spread(drawn: np.ndarray) -> float:
    """Variance over resamples: 0 without any, NaN where most are undefined."""
    if not len(drawn):
        return 0.0
    known = drawn[np.isfinite(drawn)]
    return float(known.var()) if len(known) > len(drawn) / 2 else math.nan


def _effect(found: _Mean, images: int, parts: list[_Mean] | None = None) -> Effect:
    """parts: those whose seeds count, where they are not those of `found`."""
    nothing = math.nan
    if not math.isfinite(found.value):
        return Effect(
            undefined(images, "undefined for one of the runs"), *2 * [nothing]
        )
    parts = [found] if parts is None else parts
    pieces = [(found.of_patients, max(found.patients - 1, 1))]
    pieces += [(part.of_seeds, part.seeds - 1) for part in parts if part.seeds > 1]
    variance = sum(piece for piece, _ in pieces)
    if not variance > 0:
        return Effect(point(found.value, images, "no interval"), *2 * [nothing])
    freedom = variance**2 / sum(piece**2 / degrees for piece, degrees in pieces)
    error = math.sqrt(variance)
    half = laws.t_quantile((1 + LEVEL) / 2, freedom) * error
    reason = ONE_SEED if any(part.seeds == 1 for part in parts) else ""
    return Effect(
        Estimate(found.value, found.value - half, found.value + half, images, reason),
        2 * laws.t_tail(abs(found.value) / error, freedom),
        _shift(freedom) * error,
    )


def _shift(freedom: float) -> float:
    """The difference, in standard errors, that a two-sided t test finds 80 times in 100."""
    # The non-centrality at which Student's t passes the limit that often.
    limit = laws.t_quantile((1 + LEVEL) / 2, freedom)
    return float(special.nctdtrinc(freedom, 1 - POWER, limit))
