import math

import numpy as np
import pytest
from scipy import stats

from cxr_jax.gate import gradients
from cxr_jax.gate.gradients import BINS, CELLS, LEVELS, SIDE


@pytest.fixture
def levels():
    """Grey levels of a raster, with ties."""
    return np.random.default_rng(0).integers(0, LEVELS // 8, (SIDE, SIDE))


def directions(described: np.ndarray) -> np.ndarray:
    return described.reshape(BINS, CELLS, CELLS)


def slow(v: np.ndarray) -> np.ndarray:
    """The docstring of `histograms`, pixel by pixel."""
    h = np.zeros((BINS, CELLS, CELLS))
    for y in range(SIDE):
        for x in range(SIDE):
            gx = v[y, x + 1] - v[y, x - 1] if 0 < x < SIDE - 1 else 0.0
            gy = v[y + 1, x] - v[y - 1, x] if 0 < y < SIDE - 1 else 0.0
            a = math.degrees(math.atan2(gy, gx)) % 360 / 60
            k, length = int(a), math.sqrt(gx * gx + gy * gy)
            h[k % 6, y // 4, x // 4] += length * (1 - (a - k))
            h[(k + 1) % 6, y // 4, x // 4] += length * (a - k)
    norms = np.sqrt((h**2).sum(0))
    return (h / (norms + 0.2 * norms.mean() + 1e-6)).ravel()


def test_ranks_are_those_of_scipy(levels):
    expected = (2 * stats.rankdata(levels) - 1) / levels.size - 1
    found = gradients.ranks(levels / LEVELS)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-12)


def test_a_rising_curve_of_greys_changes_nothing(levels):
    curve = np.sort(np.random.default_rng(1).permutation(LEVELS)[: LEVELS // 8])
    before, after = (gradients.ranks(q / LEVELS) for q in (levels, curve[levels]))
    assert np.array_equal(before, after)


def test_histograms_are_those_of_the_formula(levels):
    ranked = gradients.ranks(levels / LEVELS)
    found = gradients.histograms(ranked[None])[0]
    np.testing.assert_allclose(found, slow(ranked), atol=1e-9)


def test_an_inverted_film_has_the_opposite_directions(levels):
    film = gradients.describe((levels / LEVELS)[None])[0]
    negative = gradients.describe((1 - levels / LEVELS)[None])[0]
    opposite = np.roll(directions(film), BINS // 2, axis=0)
    np.testing.assert_allclose(directions(negative), opposite, atol=1e-9)


@pytest.mark.parametrize(("axis", "bins"), [(1, [0]), (0, [1, 2])])
def test_a_ramp_has_one_direction(axis, bins):
    """To the right is 0 degrees; down is 90, between the bins at 60 and 120."""
    ramp = np.broadcast_to(np.linspace(0, 1, SIDE), (SIDE, SIDE))
    found = directions(gradients.describe((ramp if axis else ramp.T)[None])[0])
    some = np.abs(found).max((1, 2)) > 1e-6
    assert np.flatnonzero(some).tolist() == bins


def test_a_flat_film_has_none():
    assert not gradients.describe(np.full((1, SIDE, SIDE), 0.4)).any()
