"""The loop computes the same metrics as ours, so that times are comparable."""

import warnings

import numpy as np
import pytest

from benchmarks import loop, statistics


@pytest.mark.parametrize(
    "name, beside", [("2 classes", 31), ("4 classes", 34), ("brixia", 56)]
)
def test_the_loop_gives_the_same_values(name, beside):
    drawn = statistics.draw(name, 150, 100)
    ours = statistics.ours(drawn, resamples=0)
    theirs = loop.functions(*drawn[2:], statistics.CLASSES[name])
    assert len(theirs) == beside and set(theirs) < set(ours)
    everything = np.arange(150)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = {metric: value(everything) for metric, value in theirs.items()}
    assert values == pytest.approx({metric: ours[metric].value for metric in theirs})


def test_the_tables_have_a_row_for_each():
    text = statistics.run(cases=160, patients=80, resamples=20, rounds=1, repeats=1)
    for name in statistics.CLASSES:
        assert sum(line.startswith(name) for line in text.splitlines()) == 2
    assert "20 rounds" not in text and "1 rounds, times 20" in text
