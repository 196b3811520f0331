"""Agreement with the reader in every group: Bland and Altman's bias and limits.

Bland and Altman 1986, doi 10.1016/S0140-6736(86)90837-8; of the global score.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.audits.model import subgroups
from cxr_jax.metrics import brixia
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.bootstrap import Estimate


class Limits(NamedTuple):
    """The signed errors of the global score in one group, in points.

    Attributes:
      attribute, name: as 'sex', 'F'.
      images, patients: how many.
      bias: their mean; above 0 the model reads too high.
      sd: their standard deviation, of a sample (divided by n - 1).
      low, high: bias -+ 1.96 sd, between which 95 % of normal errors lie.
    """

    attribute: str
    name: str
    images: int
    patients: int
    bias: Estimate
    sd: Estimate
    low: Estimate
    high: Estimate


def limits(
    table: dict[str, Any],
    label_names: dict[str, Any],
    target: np.ndarray,
    expected: np.ndarray,
    counts: np.ndarray,
) -> list[Limits]:
    """Of every group of at least `subgroups.LEAST` images, with intervals.

    Args:
      table, label_names: of a `source.Split`, with 'patient_id'.
      target, expected: [N, 6] scores of the reader and of the model.
      counts: of `bootstrap.weights`; a group has those of its own images.
    """
    error = np.sum(expected, axis=1, dtype=np.float64) - np.sum(target, axis=1)
    patients = np.asarray(table["patient_id"])
    found = []
    for group in subgroups.each(table, label_names):
        own = error[group.members]
        drawn = subgroups.of_members(counts, group.members)
        statistics = (
            partial(weighted.mean, own),
            partial(weighted.standard_deviation, own, lost=1),
            partial(brixia.limit, own, -brixia.LIMITS),
            partial(brixia.limit, own, brixia.LIMITS),
        )
        figures = [
            bootstrap.estimate(each, drawn, undefined="a single image")
            for each in statistics
        ]
        size = len(own), len(np.unique(patients[group.members]))
        found.append(Limits(group.attribute, group.name, *size, *figures))
    return found
