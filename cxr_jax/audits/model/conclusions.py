"""What the figures of a model's audit mean: one verdict for each part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cxr_jax.audits.model import alterations
from cxr_jax.audits.model.saliency import Maps
from cxr_jax.audits.verdicts import Verdict, verdict
from cxr_jax.evaluation import subgroups
from cxr_jax.metrics.registry import metric
from cxr_jax.ops.masking import controls
from cxr_jax.stats import bootstrap, significance
from cxr_jax.stats.estimate import Estimate, json_number

# A model that surely keeps so much of what it has above chance without lungs reads
# something else for the most part.
MOSTLY = 0.5
# Maps that are so much like those of random weights say little.
ALIKE = 0.5


class Hidden(NamedTuple):
    """What a model still has with parts of the pictures hidden.

    Attributes:
      figure: there.
      left: the share of what it has above chance on whole pictures.
      p: of the figure being that of chance.
    """

    figure: Estimate
    left: Estimate
    p: float


class Altered(NamedTuple):
    """What a model loses on altered pictures.

    Attributes:
      figure: there.
      lost: against the pictures as they are; above 0 is worse.
      p: of nothing being lost.
    """

    figure: Estimate
    lost: Estimate
    p: float


def hidden(
    metric_name: str, values, whole, chance: float, images: int, area_of: int = 0
) -> Hidden:
    """Of replicates [R + 1] of a figure, and of it on whole pictures.

    area_of: see `bootstrap.summary`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (values - chance) / (whole - chance)
    undefined = "undefined on these pictures"
    return Hidden(
        bootstrap.summary(values, images, undefined=undefined, area_of=area_of),
        bootstrap.summary(left, images, undefined=undefined),
        significance.p_value(metric(metric_name).sign * (values - chance)),
    )


def altered(metric_name: str, values, whole, images: int, area_of: int = 0) -> Altered:
    """Of replicates [R + 1] of a figure, and of it on the pictures as they are.

    area_of: see `bootstrap.summary`.
    """
    lost = metric(metric_name).sign * (whole - values)
    return Altered(
        bootstrap.summary(values, images, undefined="undefined", area_of=area_of),
        bootstrap.summary(lost, images, undefined="undefined"),
        significance.p_value(lost),
    )


class _Cells(NamedTuple):
    """Holm's p of everything that a verdict may rest on, as one family."""

    hidden: dict[str, float]
    altered: dict[tuple[str, int], float]
    grouped: list[float]
    agreed: list[float]

    @property
    def count(self) -> int:
        """How many are compared."""
        every = [*self.hidden.values(), *self.altered.values()]
        return int(np.isfinite([*every, *self.grouped, *self.agreed]).sum())


def conclude(
    figure: str,
    chance: float,
    whole: Estimate,
    without: dict[str, Hidden],
    changed: dict[str, list[Altered]],
    grouped: Sequence[subgroups.Row],
    agreed: Sequence[subgroups.Limits] = (),
    maps: Sequence[Maps] = (),
) -> list[Verdict]:
    """The verdicts of all parts, in the order in which they are read.

    What is called beyond chance is so after Holm's correction over all controls,
    alterations and groups: an audit without any signal says so of one of them in at
    most 5 of 100 (docs/metrics.md).

    Args:
      figure: the metric that the model is judged by.
      chance: what a constant predictor reaches.
      whole: of the pictures as they are.
      without: {control: what is left}.
      changed: {alteration: what is lost at every strength}.
      grouped, agreed: of `subgroups`.
      maps: of `saliency`.
    """
    found = []
    values = {"metric": figure, "chance": chance}
    knows = _beats(figure, whole, chance)
    if not knows:
        found.append(verdict("no_better_than_chance", estimate=whole, **values))
    names = [
        control.name
        for control in controls(True)
        if control.without_lungs and control.name in without
        if control.name != "nothing"
    ]
    cells = _correct(
        figure, {name: without[name] for name in names}, changed, grouped, agreed
    )
    found += [
        _of_control(name, figure, chance, whole, without[name], cells, knows)
        for name in names
    ]
    found += _of_alterations(figure, changed, cells)
    found.append(_of_groups(figure, grouped, cells))
    if agreed:
        found.append(_of_agreement(agreed, cells))
    return found + [_of_maps(each) for each in maps]


def _correct(figure: str, without, changed, grouped, agreed) -> _Cells:
    keys = [(name, k) for name, each in changed.items() for k in range(len(each))]
    corrected = iter(
        significance.holm(
            [
                *(found.p for found in without.values()),
                *(changed[name][k].p for name, k in keys),
                *(row.p[figure] for row in grouped),
                *(each.p for each in agreed),
            ]
        )
    )
    return _Cells(
        {name: next(corrected) for name in without},
        {key: next(corrected) for key in keys},
        [next(corrected) for _ in grouped],
        [next(corrected) for _ in agreed],
    )


def _beats(figure: str, estimate: Estimate, chance: float) -> bool:
    """With the whole interval; at exactly 1 all resamples are alike, and there is none."""
    sign = metric(figure).sign
    return all(sign * (end - chance) > 0 for end in bootstrap.ends(estimate))


def _of_control(name: str, figure: str, chance, whole, found, cells, knows) -> Verdict:
    """A shortcut only where the lower end of what is left is most of it."""
    estimate, left, p = found.figure, found.left, cells.hidden[name]
    least, _ = bootstrap.ends(left)
    better = metric(figure).sign * (estimate.value - chance) > 0
    kind = "no_shortcut"
    if not estimate.is_defined:
        kind = "shortcut_undefined"
    elif not knows:
        kind = "shortcut_untested"
    elif better and p < significance.LEVEL:
        kind = "shortcut" if least >= MOSTLY else "shortcut_helps"
    return verdict(
        kind, control=name, metric=figure, estimate=estimate, whole=whole,
        chance=chance, left=left, p=json_number(p), of=cells.count,
    )  # fmt: skip


def _of_alterations(figure: str, changed, cells: _Cells) -> list[Verdict]:
    worst = [
        (found[-1].lost.value, name)
        for name, found in changed.items()
        if found[-1].lost.is_defined
    ]
    if not worst:
        return []
    value, name = max(worst)
    alteration, found = alterations.ALTERATIONS[name], changed[name]
    first = None
    # From where on it is so at every later strength too.
    for k in reversed(range(len(found))):
        if not (
            found[k].lost.value > 0 and cells.altered[name, k] < significance.LEVEL
        ):
            break
        first = alteration.strengths[k]
    return [
        verdict(
            "robustness", alteration=name, unit=alteration.unit, metric=figure,
            lost=value, strength=alteration.strengths[-1], first=first, of=cells.count,
        )
    ]  # fmt: skip


def _of_groups(figure: str, grouped: Sequence[subgroups.Row], cells: _Cells) -> Verdict:
    if not grouped:
        return verdict("groups_too_small", least=subgroups.LEAST)
    known = [row for row in grouped if row.gaps[figure].is_defined]
    if not known:
        return verdict("groups_undefined", groups=len(grouped), metric=figure)
    sure = [
        (row.gaps[figure].value, k)
        for k, row in enumerate(grouped)
        if row.gaps[figure].value > 0 and cells.grouped[k] < significance.LEVEL
    ]
    if not sure:
        return verdict("no_worse_group", groups=len(known))
    row = grouped[max(sure)[1]]
    return verdict(
        "worst_group", attribute=row.attribute, group=row.name, images=row.images,
        metric=figure, gap=row.gaps[figure], groups=len(known), of=cells.count,
    )  # fmt: skip


def _of_agreement(agreed: Sequence[subgroups.Limits], cells: _Cells) -> Verdict:
    """The group with the largest bias."""
    known = [each for each in agreed if each.bias.has_interval]
    sure = [
        (abs(each.bias.value), k)
        for k, each in enumerate(agreed)
        if cells.agreed[k] < significance.LEVEL
    ]
    if not sure:
        return verdict("no_biased_group", groups=len(known))
    most = agreed[max(sure)[1]]
    return verdict(
        "biased_group", attribute=most.attribute, group=most.name, images=most.images,
        bias=most.bias, low=most.low.value, high=most.high.value, groups=len(known),
        of=cells.count,
    )  # fmt: skip


def _of_maps(found: Maps) -> Verdict:
    """In the lungs where masks are known, else on the border."""
    where, share, area = "outer border pixels", found.border, found.border_area
    if found.lungs is not None:
        where, share, area = "lungs", found.lungs, found.lungs_area
    kind, likeness = "attribution", found.likeness
    if not np.isfinite(likeness) or not share.is_defined:
        kind, likeness = "attribution_flat", None
    elif likeness > ALIKE:
        kind = "attribution_unspecific"
    return verdict(
        kind, method=found.method, where=where, estimate=share, area=area,
        likeness=likeness,
    )  # fmt: skip
