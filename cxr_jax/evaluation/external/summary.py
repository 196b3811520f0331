"""External validation as it is printed: the matrix, what is lost, and a summary."""

from __future__ import annotations

import itertools
import re
import string

from cxr_jax.metrics.registry import metric
from cxr_jax.runs import results, text_table
from cxr_jax.stats import bootstrap, significance
from cxr_jax.stats.estimate import Estimate, number

# Shown in tables of their own, after the metric that counts first.
ALSO = {"mae_zone": ("pearson_global",)}
_CELL = 24  # characters of '0.832 (0.801 to 0.858)', and a gap
_NAME = 36  # of the name of a run


def tables(figure: str, own: dict[str, str], sets, found) -> list[str]:
    """The matrix, what was left out, what is lost elsewhere, and sources.

    Args:
      figure: the headline.
      own: {run: its own set}.
      sets: the `Set`s.
      found: {run: {set: Cell}}.
    """
    letter = dict(zip((each.name for each in sets), _letters(), strict=False))
    width = max(len(each.name) for each in sets)
    lines = ["", "Tested on"]
    for each in sets:
        size = results.count(each.split)
        lines.append(f"  {letter[each.name]}  {each.name:{width}}  {size}")
    if any(each.split.synthetic for each in sets):
        lines.append("SYNTHETIC phantoms: these figures say nothing about patients.")
    for name in (figure, *ALSO.get(figure, ())):
        lines += _matrix(name, own, letter, found)
    lines += _left_out(letter, found)
    lines += _drops(figure, own, letter, found)
    return lines + _sources(figure, letter, found)


def verdicts(figure: str, own: dict[str, str], found) -> dict[str, str]:
    """{run: a sentence on its figures elsewhere, and on what is lost there}.

    What is lost beyond chance is so after Holm's correction over all runs and sets.
    """
    places = [(run, name) for run, cells in found.items() for name in cells]
    p = [found[run][name].p.get(figure, float("nan")) for run, name in places]
    corrected = dict(zip(places, significance.holm(p), strict=True))
    return {
        run: _verdict(figure, run, own[run], cells, corrected)
        for run, cells in found.items()
    }


def held(figure: str, own: str, cells) -> list[str]:
    """The sets on which a run loses nothing beyond chance and beats chance.

    Where all resamples are alike, at exactly 1, there is no interval.
    """
    return [
        name
        for name, cell in cells.items()
        if name != own and _is_known(figure, cell)
        if bootstrap.ends(cell.drops[figure])[0] <= 0 and _beats_chance(figure, cell)
    ]


def _verdict(figure: str, run: str, own: str, cells, corrected) -> str:
    text = f"{run}: {metric(figure).label} {cells[own].figures[figure].text()} on {own}"
    others = [name for name in cells if name != own]
    if not others:
        return (
            text + "; it was tested on no other set (give --eval_on, or more --runs)."
        )
    text += ", its own; "
    text += "; ".join(
        _elsewhere(figure, name, cells[name], corrected[run, name]) for name in others
    )
    if not any(_is_known(figure, cells[name]) for name in others):
        return text + ". Nothing can be said about other sets."
    if good := held(figure, own, cells):
        return f"{text}. No loss beyond chance on {', '.join(good)}."
    return f"{text}. Its own test set does not show how well it does elsewhere."


def _elsewhere(figure: str, name: str, cell, p: float) -> str:
    here, drop = cell.figures[figure], cell.drops.get(figure)
    text = f"{here.text()} on {here.n:,} images of {name}"
    if drop is not None and drop.is_defined:
        text += (
            f", {number(abs(drop.value))} {'worse' if drop.value >= 0 else 'better'}"
        )
        if drop.has_interval:
            chance = "beyond chance" if p < significance.LEVEL else "may be chance"
            text += f" ({drop.interval(sign=True)} lost: {chance})"
    if here.has_interval and not _beats_chance(figure, cell):
        text += f", no better than chance ({number(cell.chance)})"
    return text


def _is_known(figure: str, cell) -> bool:
    return figure in cell.drops and cell.drops[figure].is_defined


def _beats_chance(figure: str, cell) -> bool:
    sign = metric(figure).sign
    ends = bootstrap.ends(cell.figures[figure])
    return all(sign * (end - cell.chance) > 0 for end in ends)


def _matrix(figure: str, own, letter, found) -> list[str]:
    """Rows of runs, as many sets side by side as there is room for."""
    longest = min(max(map(len, found)) + 1, _NAME)
    at_once = max((text_table.WIDTH - longest - 2) // _CELL, 1)
    lines, every = [], list(letter)
    for start in range(0, len(every), at_once):
        names, rows = every[start : start + at_once], []
        for run, cells in found.items():
            shown = [_cell(cells[name].figures.get(figure)) for name in names]
            marked = [
                f"{text}{'*' if own[run] == name else ' '}"
                for text, name in zip(shown, names, strict=True)
            ]
            rows.append([_tail(run), *marked])
        head = [f"{letter[name]} {' ' * (_CELL // 2)}" for name in names]
        lines += ["", f"{metric(figure).label} (95 % interval), * the run's own set"]
        lines += text_table.lines(["", *head], rows)
    return lines


def _left_out(letter, found) -> list[str]:
    rows = []
    for run, cells in found.items():
        for name, cell in cells.items():
            counts = [int(images.sum()) for images in cell.left_out]
            if any(counts):
                kept, total = len(cell.left_out.kept), len(cell.left_out.near)
                shown = [f"{n:,}" for n in (*counts, kept, total)]
                rows.append([_tail(run), letter[name], *shown])
    if not rows:
        return ["", "No image, copy of one or patient is in train or val of a run."]
    head = ["", "on", "identical", "near", "same patient", "kept", "of"]
    return [
        "",
        "Left out, because they are in train or val of the run",
        *text_table.lines(head, rows),
    ]


def _drops(figure: str, own, letter, found) -> list[str]:
    rows, shared = [], 0
    for run, cells in found.items():
        for name, cell in cells.items():
            if _is_known(figure, cell):
                drop, internal = cell.drops[figure], cells[own[run]].figures[figure]
                values = (internal.value, cell.figures[figure].value, drop.value)
                change = f"{letter[own[run]]} to {letter[name]}"
                numbers = [number(value) for value in values]
                rows.append([_tail(run), change, *numbers, drop.interval()])
                shared += cell.in_own
    if not rows:
        return []
    head = ["", "sets", "own", "there", "lost", "95 % interval"]
    lines = ["", f"From the own test set to another, {metric(figure).label}"]
    lines += text_table.lines(head, rows)
    if shared:
        lines.append(
            f"  {text_table.count(shared, 'images')} elsewhere have a copy in the own test "
            "set: these intervals are too wide."
        )
    return lines


def _sources(figure: str, letter, found) -> list[str]:
    rows, undefined = [], 0
    for run, cells in found.items():
        for name, cell in cells.items():
            for row in cell.sources:
                here = row.figures[figure]
                undefined += not here.is_defined
                short = text_table.shortened(
                    re.sub(r"^https?://(www\.)?", "", row.name), 22
                )
                on = f"{_tail(run)} on {letter[name]}"
                rows.append([on, short, f"{row.images:,}", _cell(here)])
    if not rows:
        return []
    lines = ["", "By source, of 20 images and more"]
    lines += text_table.lines(["", "source", "images", metric(figure).label], rows)
    if undefined:
        lines.append(
            "  not defined: some class does not occur there. Where the source goes with "
            "the class,"
        )
        lines.append("  a model can read one for the other.")
    return lines


def _cell(estimate: Estimate | None) -> str:
    return (
        "not defined"
        if estimate is None or not estimate.is_defined
        else estimate.text()
    )


def _tail(name: str) -> str:
    """Runs of one folder differ in the end of their names."""
    return name if len(name) <= _NAME else "..." + name[3 - _NAME :]


def _letters():
    """A..Z, AA, AB, ..."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_uppercase, repeat=length):
            yield "".join(letters)
