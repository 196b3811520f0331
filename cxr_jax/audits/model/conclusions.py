"""What the figures of a model's audit mean: one verdict for each part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxr_jax.audits.model import alterations
from cxr_jax.audits.model.saliency import Maps
from cxr_jax.audits.verdicts import Verdict, verdict
from cxr_jax.evaluation import subgroups
from cxr_jax.metrics.registry import metric
from cxr_jax.ops.masking import controls
from cxr_jax.stats.estimate import Estimate

# A model that keeps this share of what it has above chance without lungs mostly reads
# something else.
MOSTLY = 0.5
# Maps whose rank correlation with those of random weights is above this say little.
ALIKE = 0.5


def conclude(
    figure: str,
    chance: float,
    whole: Estimate,
    hidden: dict[str, dict[str, Estimate]],
    altered: dict[str, list[tuple[Estimate, Estimate]]],
    grouped: Sequence[subgroups.Row],
    agreed: Sequence[subgroups.Limits] = (),
    maps: Sequence[Maps] = (),
) -> list[Verdict]:
    """The verdicts of all parts, in the order in which they are read.

    Args:
      figure: the metric that the model is judged by.
      chance: what a constant predictor reaches.
      whole: of the pictures as they are.
      hidden: {control: {'figure', 'left': above chance}}.
      altered: {alteration: (figure, what was lost) at every strength}.
      grouped, agreed: of `subgroups`.
      maps: of `saliency`.
    """
    found = []
    values = {"metric": figure, "chance": chance}
    if not _beats(figure, whole, chance):
        found.append(verdict("no_better_than_chance", estimate=whole, **values))
    found += [
        _of_control(control.name, figure, chance, whole, hidden[control.name])
        for control in controls(True)
        if control.without_lungs and control.name in hidden
        if control.name != "nothing"
    ]
    found += _of_alterations(figure, altered)
    found.append(_of_groups(figure, grouped))
    if agreed:
        found.append(_of_agreement(agreed))
    return found + [_of_maps(each) for each in maps]


def _beats(figure: str, estimate: Estimate, chance: float) -> bool:
    """With the whole interval; at exactly 1 all resamples are alike, and there is none."""
    sign = metric(figure).sign
    ends = estimate[1:3] if estimate.has_interval else estimate[:1]
    return min(sign * (end - chance) for end in ends) > 0


def _of_control(name: str, figure: str, chance: float, whole, found) -> Verdict:
    estimate, left = found["figure"], found["left"]
    kind = "no_shortcut"
    if not estimate.is_defined:
        kind = "shortcut_undefined"
    elif _beats(figure, estimate, chance):
        kind = "shortcut" if left.value >= MOSTLY else "shortcut_helps"
    return verdict(
        kind, control=name, metric=figure, estimate=estimate, whole=whole,
        chance=chance, left=left,
    )  # fmt: skip


def _of_alterations(figure: str, altered) -> list[Verdict]:
    worst = [
        (losses[-1].value, name, losses)
        for name, pairs in altered.items()
        for losses in [[lost for _, lost in pairs]]
        if losses[-1].is_defined
    ]
    if not worst:
        return []
    value, name, losses = max(worst)
    alteration = alterations.ALTERATIONS[name]
    sure = (
        strength
        for strength, lost in zip(alteration.strengths, losses, strict=True)
        if lost.lo > 0
    )
    return [
        verdict(
            "robustness", alteration=name, unit=alteration.unit, metric=figure,
            lost=value, strength=alteration.strengths[-1], first=next(sure, None),
        )
    ]  # fmt: skip


def _of_groups(figure: str, grouped: Sequence[subgroups.Row]) -> Verdict:
    if not grouped:
        return verdict("groups_too_small", least=subgroups.LEAST)
    known = [row for row in grouped if row.gaps[figure].is_defined]
    if not known:
        return verdict("groups_undefined", groups=len(grouped), metric=figure)
    sure = [row for row in known if row.gaps[figure].lo > 0]
    if not sure:
        return verdict("no_worse_group", groups=len(known))
    row = max(sure, key=lambda row: row.gaps[figure].value)
    return verdict(
        "worst_group", attribute=row.attribute, group=row.name, images=row.images,
        metric=figure, gap=row.gaps[figure], groups=len(known),
    )  # fmt: skip


def _of_agreement(agreed: Sequence[subgroups.Limits]) -> Verdict:
    """The group with the largest bias."""
    known = [each for each in agreed if each.bias.has_interval]
    sure = [each for each in known if each.bias.lo > 0 or each.bias.hi < 0]
    if not sure:
        return verdict("no_biased_group", groups=len(known))
    most = max(sure, key=lambda each: abs(each.bias.value))
    return verdict(
        "biased_group", attribute=most.attribute, group=most.name, images=most.images,
        bias=most.bias, low=most.low.value, high=most.high.value, groups=len(known),
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
