"""The matrix as a person reads it: who was tested on what, what is lost, in words."""

from __future__ import annotations

import itertools
import re
import string

import numpy as np

from cxr_jax.audits import text_table
from cxr_jax.audits.model.report import CHANCE
from cxr_jax.runs import results
from cxr_jax.stats.estimate import Estimate

# Errors: less is better, and nothing is a guess.
ALSO = {"pearson_global": ("mae_zone",)}
_CELL = 24  # characters of '0.832 (0.801 to 0.858)', and a gap
_NAME = 36  # of the name of a run


def tables(figure: str, own: dict[str, str], sets, found) -> list[str]:
    """The matrix, what was left out, what is lost elsewhere, and sources.

    Args:
      figure: the headline.
      own: {run: its own set}.
      sets: `matrix_sets.Set`s.
      found: {run: {set: `matrix.Cell`}}.
    """
    letter = dict(zip((each.name for each in sets), _letters(), strict=False))
    width = max(len(each.name) for each in sets)
    lines = ["", "Tested on"]
    for each in sets:
        size = results.count(each.split)
        lines.append(f"  {letter[each.name]}  {each.name:{width}}  {size}")
    if any(each.split.synthetic for each in sets):
        lines.append("SYNTHETIC phantoms: these figures say nothing about patients.")
    for metric in (figure, *ALSO.get(figure, ())):
        lines += _matrix(metric, own, letter, found)
    lines += _left_out(letter, found)
    lines += _drops(figure, own, letter, found)
    return lines + _sources(figure, letter, found)


def verdicts(figure: str, own: dict[str, str], found) -> dict[str, str]:
    """{run: a line of what was measured, against which null, what it means}."""
    return {run: _verdict(figure, run, own[run], cells) for run, cells in found.items()}


def _verdict(figure: str, run: str, own: str, cells) -> str:
    internal = cells[own].figures[figure]
    text = f"  {run}: {figure} {_value(internal)} on its own {own}"
    others = [name for name in cells if name != own]
    if not others:
        return text + ". It was tested on no other set: give --eval_on, or more --runs."
    told = [_elsewhere(figure, name, cells[name]) for name in others]
    text += "; " + "; ".join(told)
    if not any(_is_known(figure, cells[name]) for name in others):
        return text + ". Nothing can be said of other sets."
    held = [name for name in others if _holds(figure, cells[name])]
    meaning = "Its own test set does not say how good it is elsewhere."
    if held:
        meaning = f"No loss beyond chance is seen on {', '.join(held)}."
    return f"{text} (null: the same on both). {meaning}"


def _elsewhere(figure: str, name: str, cell) -> str:
    here, drop = cell.figures[figure], cell.drops.get(figure)
    if not np.isfinite(here.value):
        return f"on {name} undefined: {here.reason}"
    text = f"on {here.n:,} images of {name} {_value(here)}"
    if drop is not None and np.isfinite(drop.value):
        less = "less" if drop.value >= 0 else "more"
        text += f", {abs(drop.value):.3f} {less}"
        if np.isfinite(drop.lo):
            sure = "beyond chance" if drop.lo > 0 or drop.hi < 0 else "may be chance"
            text += f" ({drop.lo:+.3f} to {drop.hi:+.3f} lost: {sure})"
    if np.isfinite(here.lo) and here.lo <= CHANCE[figure]:
        text += f", no better than a guess ({CHANCE[figure]:g})"
    return text


def _is_known(figure: str, cell) -> bool:
    return figure in cell.drops and bool(np.isfinite(cell.drops[figure].value))


def _holds(figure: str, cell) -> bool:
    """Nothing is lost beyond chance, and it is better than a guess."""
    if not _is_known(figure, cell):
        return False
    # Where all resamples are alike, at exactly 1, there is no interval.
    lost, here = (
        each.lo if np.isfinite(each.lo) else each.value
        for each in (cell.drops[figure], cell.figures[figure])
    )
    return lost <= 0 and here > CHANCE[figure]


def _matrix(metric: str, own, letter, found) -> list[str]:
    """Rows of runs, as many sets side by side as there is room for."""
    longest = min(max(map(len, found)) + 1, _NAME)
    at_once = max((text_table.WIDTH - longest - 2) // _CELL, 1)
    lines, every = [], list(letter)
    for start in range(0, len(every), at_once):
        names, rows = every[start : start + at_once], []
        for run, cells in found.items():
            shown = [_cell(cells[name].figures.get(metric)) for name in names]
            marked = [
                f"{text}{'*' if own[run] == name else ' '}"
                for text, name in zip(shown, names, strict=True)
            ]
            rows.append([_tail(run), *marked])
        head = [f"{letter[name]} {' ' * (_CELL // 2)}" for name in names]
        lines += ["", f"{metric} (95 % interval), * the run's own set"]
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
        return ["", "No image is in train or val of a run, nor a copy, nor a patient."]
    head = ["", "on", "identical", "near", "same patient", "kept", "of"]
    return [
        "",
        "Left out: train or val of the run has them",
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
                numbers = [text_table.number(value) for value in values]
                rows.append([_tail(run), change, *numbers, text_table.interval(drop)])
                shared += cell.in_own
    if not rows:
        return []
    head = ["", "sets", "own", "there", "lost", "95 % interval"]
    lines = ["", f"From the own test set to another, {figure}"]
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
                undefined += not np.isfinite(here.value)
                short = text_table.shortened(
                    re.sub(r"^https?://(www\.)?", "", row.name), 22
                )
                on = f"{_tail(run)} on {letter[name]}"
                rows.append([on, short, f"{row.images:,}", _cell(here)])
    if not rows:
        return []
    lines = ["", "By source, of 20 images and more"]
    lines += text_table.lines(["", "source", "images", figure], rows)
    if undefined:
        lines.append(
            "  undefined: some class does not occur there. Where the source goes with "
            "the class,"
        )
        lines.append("  a model can read the one for the other.")
    return lines


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or not np.isfinite(estimate.value):
        return "undefined"
    return _value(estimate)


def _value(estimate: Estimate) -> str:
    if not np.isfinite(estimate.value):
        return f"undefined ({estimate.reason})"
    if not np.isfinite(estimate.lo):
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.lo:.3f} to {estimate.hi:.3f})"


def _tail(name: str) -> str:
    """Runs of one folder differ in the end of their names."""
    return name if len(name) <= _NAME else "..." + name[3 - _NAME :]


def _letters():
    """A..Z, AA, AB, ..."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_uppercase, repeat=length):
            yield "".join(letters)
