"""Is it as good for everyone: every metric in every group that is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.audits.data import attributes
from cxr_jax.metrics import registry
from cxr_jax.stats import bootstrap
from cxr_jax.stats.bootstrap import Estimate

# A group of fewer images says nothing.
LEAST = 20
BINS = 3
# Metrics whose gaps are measured, where a task has them.
HEADLINES = ("mae_global", "pearson_global", "auroc", "auroc_macro")
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
    """

    attribute: str
    name: str
    images: int
    patients: int
    figures: dict[str, Estimate]
    gaps: dict[str, Estimate]


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


def each(table: dict[str, Any], label_names: dict[str, Any]) -> Iterator[Group]:
    """Every group of at least LEAST images, attribute by attribute.

    Args:
      table, label_names: of a `source.Split`.
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
    headlines: Sequence[str] = HEADLINES,
) -> list[Row]:
    """Every metric in every group, and the gaps of the headline metrics.

    Args:
      table, label_names: of a `source.Split`, with 'patient_id'.
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
        gaps = _gaps(inside, members, headlines_of)
        rest = [metric for metric in statistics if metric not in inside]
        inside = inside | _replicates(statistics, of_members(counts, members), rest)
        rows.append(
            Row(
                group.attribute,
                group.name,
                int(members.sum()),
                len(np.unique(patients[members])),
                {metric: _within(inside[metric], members) for metric in statistics},
                gaps,
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
    sign = _sign(metric)
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


def _within(values: np.ndarray, members: np.ndarray) -> Estimate:
    reason = "not defined in the group"
    return bootstrap.summary(values, int(members.sum()), undefined=reason)


def _gaps(inside, members, headlines_of) -> dict[str, Estimate]:
    images = int(members.sum())
    if (~members).sum() < LEAST:
        nothing = Estimate(*[float("nan")] * 3, images, FEW_OTHERS)
        return dict.fromkeys(inside, nothing)
    outside = headlines_of(~members)
    return {
        metric: bootstrap.summary(
            _sign(metric) * (outside[metric] - own),
            images,
            undefined="not defined in the group, or not in all others",
        )
        for metric, own in inside.items()
    }


def _sign(metric: str) -> int:
    return registry.metric(metric).sign


def _members(attribute: attributes.Attribute):
    """(name, bool [N]) of each category, or of thirds of the known numbers."""
    if attribute.numbers is None:
        for code, name in enumerate(attribute.categories):
            yield name, attribute.codes == code
        return
    known = attribute.numbers[~attribute.missing]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
    for low, high in itertools.pairwise(edges):
        is_last = high == edges[-1]
        below = attribute.numbers <= high if is_last else attribute.numbers < high
        yield f"{low:g} to {high:g}", (attribute.numbers >= low) & below
    if attribute.missing.any():
        yield attributes.MISSING, attribute.missing
