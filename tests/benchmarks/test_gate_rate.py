"""Draws of patients, and what a fitted gate does with the films of others."""

import numpy as np
import pytest

from benchmarks import gate_rate
from cxr_jax.gate.fitted import CHECKS

PATIENTS = [f"p{i // 3}" for i in range(90)]


@pytest.mark.parametrize("number", range(3))
def test_patients_are_drawn_whole(number):
    chosen = gate_rate.drawn(PATIENTS, 40, number)
    assert 40 <= chosen.sum() < 43
    parted = chosen.reshape(30, 3)
    assert (parted.all(1) | ~parted.any(1)).all()
    assert (chosen == gate_rate.drawn(PATIENTS, 40, number)).all()
    assert (chosen != gate_rate.drawn(PATIENTS, 40, number + 1)).any()


def test_what_is_promised():
    """Five limits, each above all but k of n + 1 films."""
    assert gate_rate.promised(62) == pytest.approx(5 / 63)
    assert gate_rate.promised(600) == pytest.approx(5 * 6 / 601)


def test_films_that_are_not_drawn_are_judged():
    draw = np.random.default_rng(0)
    pixels = [draw.integers(0, 256, (80, 80), np.uint8) for _ in PATIENTS]
    pixels[-1] = np.full((80, 80), 128, np.uint8)
    features = draw.normal(size=(90, 6))
    films = gate_rate.Films(pixels, PATIENTS, features)
    chosen = np.arange(90) < 60
    hits = gate_rate.refused(films, chosen, 0)
    assert hits.shape == (30, len(CHECKS))
    assert (
        hits[-1, CHECKS.index("blank")] and not hits[:-1, CHECKS.index("blank")].any()
    )
    cells = gate_rate.row(60, [hits, hits]).split(" | ")
    assert cells[1] == "60" and cells[5] == f"{1 / 30:.1%}"
