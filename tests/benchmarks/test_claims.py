"""The tables of what a run claims, with few draws."""

import numpy as np
import pytest

from benchmarks import claims
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap


def share(line):
    return float(line.split("%")[0].split()[-1])


def test_percentiles_of_few_positives_are_too_short_and_ours_are_not():
    rows = claims.areas(60, 100, (2, 15)).splitlines()[1:]
    both = [[float(cell.split()[-1]) for cell in row.split("%")[:2]] for row in rows]
    # Of two areas, with one image a patient or several: 2 positives, then 15.
    assert len(both) == 8
    assert all(percentiles < 75 for percentiles, _ in both[::2])
    assert all(ours >= 88 for _, ours in both)


def test_calibrated_models_lie_within_their_range(monkeypatch):
    monkeypatch.setattr(claims, "DRAWS", 100)
    calibrated, too_sure = claims.errors(40, 50, (60,)).splitlines()[1:]
    assert share(calibrated.split("%", 1)[1]) >= 85
    assert float(too_sure.split()[3]) > float(calibrated.split()[3])


def test_sets_hold_after_selection_where_a_part_of_val_was_kept_from_it():
    """Of 40 trainings, with 40 patients in val; 7 promise nothing and hold all."""
    seven, forty = claims.sets_after_selection(40, (7, 40)).splitlines()[1:]
    before, now = (float(cell) for cell in forty.replace("(", " ").split()[1:4:2])
    assert before < 0.89 and now > 0.9
    assert seven.split()[1] == "1.000" and seven.split()[-1] == "2.00"


@pytest.mark.parametrize("signal", [0.0, 1.5])
def test_an_audit_of_nothing_says_nothing(signal):
    """Of 6 sets at most one, of which each cell by itself would give more."""
    now = alone = 0
    for k in range(6):
        numbers = generator(k, "verdicts")
        patient = np.repeat(np.arange(60), 2)
        positive = (numbers.random(60) < 0.5)[patient]
        counts = bootstrap.weights(patient, 100, k)
        told, one_by_one = claims._audited(numbers, positive, patient, signal, counts)
        now, alone = now + bool(told), alone + bool(one_by_one)
    assert now <= 1 and now <= alone
