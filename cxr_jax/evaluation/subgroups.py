"""Every metric, and agreement with the reader, in every subgroup of the images."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.data import attributes
from cxr_jax.metrics import brixia, registry
from cxr_jax.stats import bootstrap, significance, weighted
from cxr_jax.stats.estimate import Estimate, undefined

# A group of fewer images says nothing.
LEAST = 20
BINS = 3
FEW_OTHERS = f"fewer than {LEAST} images are in no such group"

Statistic = Callable[[np.ndarray], np.ndarray]
# The metrics of some images: bool [N] -> {metric: weights [R, n] of these n -> [R]}.
Make = Callable[[np.ndarray], dict[str, Statistic]]


class Group(NamedTuple):
    """The images with one value of one attribute: 'sex', 'F', bool [N]."""

    attribute: str
    name: str
    members: np.ndarray


class Row(NamedTuple):
    """The metrics of one group.

    Attributes:
      attribute, name: as 'sex', 'F'.
      images, patients: how many.
      figures: {metric: Estimate} within it.
      gaps: {metric: Estimate} of the headline metrics: by how much it is worse than all
        other images, so above 0 is worse whichever way the metric goes.
      p: {metric: of its gap}, not corrected for how many groups there are.
    """

    attribute: str
    name: str
    images: int
    patients: int
    figures: dict[str, Estimate]
    gaps: dict[str, Estimate]
    p: dict[str, float]


class Worst(NamedTuple):
    """The groups of one attribute in which a metric is worst and best.

    Attributes:
      attribute: as 'sex'.
      worst, best: their rows.
      gap: of the worst to all other images. It was chosen as the worst, so it is above 0
        by chance too, the more so the more groups there are.
    """

    attribute: str
    worst: Row
    best: Row
    gap: Estimate


class Limits(NamedTuple):
    """The signed errors of the global score in one group, in points.

    Attributes:
      attribute, name: as 'sex', 'F'.
      images, patients: how many.
      bias: their mean; above 0 the model reads too high.
      sd: their standard deviation, of a sample (divided by n - 1).
      low, high: bias -+ 1.96 sd, between which 95 % of normal errors lie.
      p: of the bias, not corrected for how many groups there are.
    """

    attribute: str
    name: str
    images: int
    patients: int
    bias: Estimate
    sd: Estimate
    low: Estimate
    high: Estimate
    p: float


def each(table: dict[str, Any], label_names: dict[str, Any]) -> Iterator[Group]:
    """Every group of at least LEAST images, attribute by attribute.

    Args:
      table, label_names: of a `split.Split`.
    """
    for attribute in attributes.of_table(table, label_names)[0]:
        for name, members in _members(attribute):
            if members.sum() >= LEAST:
                yield Group(attribute.name, name, members)


def of_metrics(
    table: dict[str, Any],
    label_names: dict[str, Any],
    make: Make,
    counts: np.ndarray,
    headlines: Sequence[str],
) -> list[Row]:
    """Every metric in every group, and the gaps of the headline metrics.

    Args:
      table, label_names: of a `Split`, with 'patient_id'.
      make: statistics of some images, such as the task's `statistics` of their rows: a
        group costs no more than its own images.
      counts: of `bootstrap.weights`; a group has those of its own images.
      headlines: metrics to measure the gaps of.
    """
    patients = np.asarray(table["patient_id"])
    headlines_of = _remembered(make, counts, headlines)
    rows = []
    for group in each(table, label_names):
        members = group.members
        statistics, inside = make(members), headlines_of(members)
        gaps, p = _gaps(inside, members, headlines_of)
        rest = [metric for metric in statistics if metric not in inside]
        own = of_members(counts, members)
        inside = inside | _replicates(statistics, own, rest)
        rows.append(
            Row(
                group.attribute,
                group.name,
                int(members.sum()),
                len(np.unique(patients[members])),
                {
                    metric: bootstrap.estimate(
                        statistic,
                        own,
                        undefined="not defined in the group",
                        values=inside[metric],
                    )
                    for metric, statistic in statistics.items()
                },
                gaps,
                p,
            )
        )
    return rows


def worst(rows: Sequence[Row], metric: str) -> list[Worst]:
    """The worst and the best group of every attribute.

    Attributes with fewer than two groups in which the metric is defined are left out.

    Args:
      rows: of `of_metrics`, with gaps of the metric.
      metric: one of its headlines.

    Raises:
      KeyError: the gaps of the metric were not asked for.
    """
    sign = registry.metric(metric).sign
    found = []
    for attribute in dict.fromkeys(row.attribute for row in rows):
        own = [
            row
            for row in rows
            if row.attribute == attribute and np.isfinite(row.figures[metric].value)
        ]
        if len(own) < 2:
            continue
        own.sort(key=lambda row: sign * row.figures[metric].value)
        found.append(Worst(attribute, own[0], own[-1], own[0].gaps[metric]))
    return found


def limits(
    table: dict[str, Any],
    label_names: dict[str, Any],
    target: np.ndarray,
    expected: np.ndarray,
    counts: np.ndarray,
) -> list[Limits]:
    """Bland and Altman's bias and limits in every group of at least LEAST images.

    Bland and Altman 1986, doi 10.1016/S0140-6736(86)90837-8.

    Args:
      table, label_names: of a `source.Split`, with 'patient_id'.
      target, expected: [N, 6] scores of the reader and of the model.
      counts: of `bootstrap.weights`; a group has those of its own images.
    """
    error = np.sum(expected, axis=1, dtype=np.float64) - np.sum(target, axis=1)
    patients = np.asarray(table["patient_id"])
    found = []
    for group in each(table, label_names):
        own = error[group.members]
        drawn = of_members(counts, group.members)
        statistics = (
            partial(weighted.mean, own),
            partial(weighted.standard_deviation, own, lost=1),
            partial(brixia.limit, own, -brixia.LIMITS),
            partial(brixia.limit, own, brixia.LIMITS),
        )
        figures = [
            bootstrap.estimate(statistic, drawn, undefined="a single image")
            for statistic in statistics
        ]
        size = len(own), len(np.unique(patients[group.members]))
        p = significance.p_value(bootstrap.replicates(statistics[0], drawn))
        found.append(Limits(group.attribute, group.name, *size, *figures, p))
    return found


def of_members(counts: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The columns of some images: [R, N], bool [N] -> [R, n]."""
    # counts[:, members] would lie column by column, and every sum over a row be slow.
    return np.compress(members, counts, axis=1)


def _remembered(make: Make, counts, headlines):
    """members -> headline metrics; of two sexes each is all others of the other."""
    known: dict[bytes, dict[str, np.ndarray]] = {}

    def headlines_of(members: np.ndarray) -> dict[str, np.ndarray]:
        key = members.tobytes()
        if key not in known:
            known[key] = _replicates(
                make(members), of_members(counts, members), headlines
            )
        return known[key]

    return headlines_of


def _replicates(statistics, counts, metrics) -> dict[str, np.ndarray]:
    return {
        metric: bootstrap.replicates(statistics[metric], counts)
        for metric in metrics
        if metric in statistics
    }


def _gaps(inside, members, headlines_of):
    """-> ({metric: Estimate}, {metric: p})."""
    images = int(members.sum())
    if (~members).sum() < LEAST:
        nothing = undefined(images, FEW_OTHERS)
        return dict.fromkeys(inside, nothing), dict.fromkeys(inside, float("nan"))
    outside = headlines_of(~members)
    values = {
        metric: registry.metric(metric).sign * (outside[metric] - own)
        for metric, own in inside.items()
    }
    reason = "not defined in the group, or not in all others"
    gaps = {
        metric: bootstrap.summary(gap, images, undefined=reason)
        for metric, gap in values.items()
    }
    return gaps, {metric: significance.p_value(gap) for metric, gap in values.items()}


def _members(attribute: attributes.Attribute):
    """(name, bool [N]) of each category, or of thirds of the known numbers.

    Where numbers are missing, `attributes.of_table` has an attribute that says so.
    """
    if attribute.numbers is None:
        for code, name in enumerate(attribute.categories):
            yield name, attribute.codes == code
        return
    known = attribute.numbers[~attribute.missing]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
    groups = []
    for low, high in itertools.pairwise(edges):
        is_last = high == edges[-1]
        below = attribute.numbers <= high if is_last else attribute.numbers < high
        groups.append((attribute.numbers >= low) & below)
    groups = [members for members in groups if members.any()]
    if len(groups) < 2:  # of nearly all it is not a group
        return
    # Named by the values in it: no two groups then share an edge.
    ends = [f(attribute.numbers[group]) for group in groups for f in (np.min, np.max)]
    names = edge_names(np.array(ends))
    for k, members in enumerate(groups):
        yield " to ".join(dict.fromkeys(names[2 * k : 2 * k + 2])), members


def edge_names(edges: np.ndarray) -> list[str]:
    """With as few decimals as tell them apart: [505.333, 512] -> ['505', '512']."""
    for decimals in range(6):
        names = [f"{edge:.{decimals}f}" for edge in edges]
        if len(set(names)) == len(set(edges)):
            return names
    return [f"{edge:g}" for edge in edges]
