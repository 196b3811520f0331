"""The audit of a model as a person reads it: tables, and a verdict in words."""

from __future__ import annotations

import textwrap

import numpy as np

from cxr_jax.audits import text_table
from cxr_jax.audits.model import alterations, looking, subgroups
from cxr_jax.ops import masking
from cxr_jax.runs import results
from cxr_jax.stats.bootstrap import Estimate

# What a guess reaches, by headline figure.
CHANCE = {"auroc": 0.5, "auroc_macro": 0.5, "pearson_global": 0.0}
# A model that keeps so much of what it has above chance without lungs reads something
# else for the most part.
MOSTLY = 0.5
# Maps that are so much like those of drawn parameters say little.
ALIKE = 0.5


def verdicts(figure, whole, hidden, altered, grouped, agreed=()) -> list[str]:
    """A line for each audit: what was measured, against which null, what it means."""
    lines = _of_whole(figure, whole)
    lines += [
        _of_control(control.name, figure, whole, hidden)
        for control in masking.controls(True)
        if control.without_lungs and control.name in hidden
        if control.name != "nothing"
    ]
    lines += _of_alterations(figure, altered)
    lines.append(_of_groups(figure, grouped))
    if agreed:
        lines.append(_of_agreement(agreed))
    return lines


def _of_whole(figure, whole) -> list[str]:
    """A warning where there is nothing that could be lost or hidden."""
    least = whole.lo if np.isfinite(whole.lo) else whole.value
    if least > CHANCE[figure]:
        return []
    line = f"  Whole picture: {figure} {text_table.number(whole.value)}"
    if np.isfinite(whole.lo):
        line += f" ({whole.lo:.3f} to {whole.hi:.3f})"
    return [
        line + f" is no better than chance ({CHANCE[figure]:g}) on these "
        f"{whole.n} images: what follows says little."
    ]


def _of_alterations(figure, altered) -> list[str]:
    worst = [
        (lost[-1].value, name, lost)
        for name, pairs in altered.items()
        for lost in [[gap for _, gap in pairs]]
        if np.isfinite(lost[-1].value)
    ]
    if not worst:
        return []
    value, name, lost = max(worst)
    strengths = alterations.ALTERATIONS[name].strengths
    first = next(
        (s for s, gap in zip(strengths, lost, strict=True) if gap.lo > 0), None
    )
    since = f", from {first:g} on beyond chance" if first is not None else ""
    unit = alterations.ALTERATIONS[name].unit
    line = (
        f"  Robustness: it loses most to {name}: {value:.3f} of {figure} at "
        f"strength {strengths[-1]:g} ({unit}){since} (null: nothing is lost)."
    )
    return [line]


def _of_groups(figure, grouped) -> str:
    told = [row for row in grouped if np.isfinite(row.gaps[figure].value)]
    sure = [row for row in told if row.gaps[figure].lo > 0]
    if sure:
        row = max(sure, key=lambda row: row.gaps[figure].value)
        gap = row.gaps[figure]
        return (
            f"  Subgroups: worst beyond chance is {row.attribute} {row.name} "
            f"({row.images} images): {gap.value:.3f} ({gap.lo:.3f} to "
            f"{gap.hi:.3f}) below all others (null: no gap; of {len(told)} "
            f"groups about {len(told) / 40:.1f} seem so by chance)."
        )
    if told:
        return (
            f"  Subgroups: none of {len(told)} groups is worse than the others beyond "
            "chance."
        )
    if grouped:
        return (
            f"  Subgroups: in none of {len(grouped)} the figure is defined, as some class "
            "does not occur there. Where an attribute goes with the class, a model can "
            "read the one for the other."
        )
    return (
        f"  Subgroups: none has {subgroups.LEAST} images on either side: nothing "
        "can be said."
    )


def _of_agreement(agreed) -> str:
    """The group with the largest bias."""
    told = [each for each in agreed if np.isfinite(each.bias.lo)]
    sure = [each for each in told if each.bias.lo > 0 or each.bias.hi < 0]
    if not sure:
        return (
            f"  Agreement: in none of {len(told)} groups the global score is too high "
            "or too low beyond chance (null: a bias of 0)."
        )
    most = max(sure, key=lambda each: abs(each.bias.value))
    bias = most.bias
    return (
        f"  Agreement: the bias of the global score is largest in {most.attribute} "
        f"{most.name} ({most.images} images): {bias.value:+.2f} ({bias.lo:+.2f} to "
        f"{bias.hi:+.2f}) points, limits {most.low.value:+.1f} to "
        f"{most.high.value:+.1f} (null: 0; of {len(told)} groups about "
        f"{len(told) / 20:.1f} seem biased by chance)."
    )


def _of_control(name, figure, whole, hidden) -> str:
    chance = CHANCE[figure]
    found, left = hidden[name]["figure"], hidden[name]["left"]
    text = f"  Shortcuts, {name}: {figure} "
    if not np.isfinite(found.value):
        return text + f"undefined ({found.reason}): it says the same of all pictures."
    text += f"{found.value:.3f}"
    if np.isfinite(found.lo):
        text += f" ({found.lo:.3f} to {found.hi:.3f})"
    text += f", whole picture {whole.value:.3f}; null {chance:g}. "
    # At exactly 1 all resamples are alike, and there is no interval.
    least = found.lo if np.isfinite(found.lo) else found.value
    if not least > chance:
        return text + "No better than chance: nothing found."
    if left.value >= MOSTLY:
        return text + (
            "SHORTCUT: most of what it knows is there without a lung. Its figures say "
            "little about disease."
        )
    return (
        text
        + f"{left.value:.0%} of what it has above chance is there: a shortcut helps."
    )


def wrapped(line: str) -> str:
    """For a terminal."""
    return textwrap.fill(line, text_table.WIDTH, subsequent_indent=" " * 4)


def of_look(found: looking.Look) -> str:
    """In the lungs where masks are known, else on the border."""
    share, area, where = found.border, found.border_area, "border"
    if found.lungs is not None:
        share, area, where = found.lungs, found.lungs_area, "lungs"
    text = f"  Looking, {found.method}: "
    if not np.isfinite(share.value):
        return text + f"no figure ({share.reason})."
    text += f"{share.value:.0%} of the map lies in the {where}"
    if np.isfinite(share.lo):
        text += f" ({share.lo:.0%} to {share.hi:.0%})"
    text += f"; null: their share of the area, {area:.0%}. "
    if not np.isfinite(found.likeness):
        return text + "Maps of drawn parameters, or its own, are flat: no comparison."
    text += f"Rank correlation with maps of drawn parameters {found.likeness:.2f}: "
    if found.likeness > ALIKE:
        return text + "they say little of what was learned."
    return text + "low, as it should be."


def tables(split, figure, whole, hidden, altered, grouped) -> list[str]:
    lines = [f"\n{split.dataset} test: {results.count(split)}; {figure}"]
    if split.synthetic:
        lines.append("SYNTHETIC phantoms: these figures say nothing about patients.")
    rows = [["whole picture", *_cells(whole), ""]]
    rows += [
        [name, *_cells(found["figure"]), text_table.number(found["ratio"].value)]
        for name, found in hidden.items()
    ]
    lines += ["", "With parts hidden", *text_table.lines(
        ["", figure, "95 % interval", "of whole"], rows
    )]  # fmt: skip
    rows = []
    for name, pairs in altered.items():
        alteration = alterations.ALTERATIONS[name]
        strengths = "/".join(f"{s:g}" for s in alteration.strengths)
        values = [text_table.number(one.value) for one, _ in pairs]
        rows.append([name, f"{strengths} {alteration.unit}", *values])
    head = ["", "strength", *map(str, range(1, 6))]
    lines += ["", f"Altered, {figure} by strength", *text_table.lines(head, rows)]
    if grouped:
        rows = [
            [
                f"{text_table.shortened(g.attribute, 16)} {text_table.shortened(g.name, 24)}",
                f"{g.images:,}",
                *_cells(g.figures[figure]),
                text_table.number(g.gaps[figure].value),
            ]
            for g in grouped
        ]
        head = ["", "images", figure, "95 % interval", "below others"]
        lines += ["", "By group", *text_table.lines(head, rows)]
    return lines


def _cells(estimate: Estimate) -> list[str]:
    return [text_table.number(estimate.value), text_table.interval(estimate)]
