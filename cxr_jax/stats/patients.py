"""How many patients a figure rests on, and what follows for its interval.

A bootstrap over patients that draws the same few again and again gives intervals that
are far too short: with four positive patients those of an AUROC hold the truth 71 to
88 times in 100, with two 33 to 54 (docs/metrics.md). So fewer than LEAST have none.
A share of exactly 0 or 1 has no spread to resample: its interval is the exact one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from cxr_jax.stats import laws
from cxr_jax.stats.generator import generator

LEAST = 5
LEVEL = 0.95
# Rows of weights by which patients are told apart. Two of them are drawn equally
# often in all of these by chance with a probability of 1e-12.
_ROWS = 24


class Rests(NamedTuple):
    """A statistic, weights [R, n] -> [R], and the images that it rests on.

    Attributes:
      statistic: the function itself.
      on: bool [n] each: those of every class that it compares, or the cases of a share.
        Of each that occurs at all, an interval needs LEAST patients.
      is_share: it is the share of the cases `on[0]` for which something holds, so that
        0 and 1 have an exact interval.
      is_area: it is an area under a ROC curve, or a mean of some: its interval is made
        on the scale of the log odds.
    """

    statistic: Callable[[np.ndarray], np.ndarray]
    on: tuple[np.ndarray, ...] = ()
    is_share: bool = False
    is_area: bool = False

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """The statistic of every row."""
        return self.statistic(weights)


def of_columns(counts: np.ndarray) -> np.ndarray:
    """The patient of each image, int [n]: images of one are drawn equally often.

    They are numbered as they come, whatever the seed of the draw.

    counts: of `bootstrap.weights`.
    """
    rows = counts[1 : _ROWS + 1].astype(np.uint64)
    factors = generator(0, "patients").integers(1, 2**63, len(rows), np.uint64)
    mixed = (rows * factors[:, None]).sum(axis=0, dtype=np.uint64)
    _, first, patient = np.unique(mixed, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[patient]


def number(counts: np.ndarray, members: np.ndarray | None = None) -> int:
    """Patients of all images, or of some: bool [n]."""
    patient = of_columns(counts)
    return len(np.unique(patient if members is None else patient[members]))


def fewest(counts: np.ndarray, on: Sequence[np.ndarray] = ()) -> int:
    """Patients of the rarest of some groups of images that occurs at all, or of all."""
    patient = of_columns(counts)
    groups = [patient, *(patient[members] for members in on)]
    return min(len(np.unique(group)) for group in groups if len(group))


def few(patients: int) -> str:
    """Why there is no interval."""
    who = "1 patient" if patients == 1 else f"{patients} patients"
    return f"no interval: only {who} in a group it rests on, and {LEAST} are needed"


def exact(hits: int, patients: int) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404.

    18 of 18 patients: 0.815 to 1.
    """
    return laws.exact_interval(hits, patients, LEVEL)
