"""What is counted and compared of two outputs of --mode=predict."""

import math

import pytest

from benchmarks import deployed
from tfds_builders.common.errors import InputError


def row(path, **cells):
    empty = {"prob_A": "0.25", "gate": "passed", "gate_reasons": "", "warnings": ""}
    return {"path": path, "example_id": path, **empty, "error": "", **cells}


BLANK = row("b", gate="warned", gate_reasons="view=0.91>0.50;blank=1.00>0.98")
BROKEN = row("c", gate="", prob_A="", error="no image")


def test_films_are_counted_by_what_became_of_them():
    rows = [row("a"), BLANK, row("d", gate="refused", gate_reasons="view=2.00>0.50")]
    (line,) = deployed.table({"films": [*rows, BROKEN]})
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:5] == ["films", "4", "1", "2", "1"]
    assert dict(zip(deployed.CHECKS, cells[5:], strict=True)) == (
        dict.fromkeys(deployed.CHECKS, "") | {"view": "2", "blank": "1"}
    )


def test_the_largest_difference_and_each_other_verdict_are_found():
    one = [row("a"), BLANK, BROKEN]
    other = [
        row("a", prob_A="0.5", gate="warned", gate_reasons="view=0.51>0.50"),
        {**BLANK, "prob_A": "0.375", "gate_reasons": "view=0.91>0.50;blank=0.99>0.98"},
        {**BROKEN, "error": "no film"},
    ]
    found = deployed.gaps(one, other)
    assert found["prob"] == 0.25
    differ = {
        key.removeprefix("rows with another "): n
        for key, n in found.items()
        if key.startswith("rows with another ")
    }
    assert differ["gate"] == differ["checks"] == differ["error"] == 1
    assert differ["warnings"] == differ["called"] == differ["set"] == 0


@pytest.mark.parametrize("order", [1, -1])
def test_a_figure_on_one_side_only_is_never_hidden(order):
    pairs = [(row("a", prob_A=""), row("a")), (row("b"), row("b", prob_A="0.5"))]
    one, other = zip(*pairs[::order], strict=True)
    assert math.isnan(deployed.gaps(one, other)["prob"])


def test_outputs_of_other_films_are_refused():
    with pytest.raises(InputError, match="was given other films"):
        deployed.gaps([row("a")], [row("b")])
