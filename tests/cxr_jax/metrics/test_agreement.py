"""Scores of zones, sides and the whole, and of a second reader, written out."""

import numpy as np
import pytest
from scipy import stats

from cxr_jax.metrics import scores_agreement, second_reader_metrics
from cxr_jax.rng import generator


@pytest.fixture
def scores():
    g = generator(0, "agreement")
    target = g.integers(0, 4, (40, 6))
    expected = np.clip(target + g.normal(0.2, 0.8, (40, 6)), 0, 3)
    return target, expected, np.repeat(np.arange(20), 2)


def test_scopes_are_zones_sides_and_the_whole(scores):
    target, expected, patients = scores
    found = scores_agreement(target, expected, patients, resamples=30)
    error = expected - target
    assert found["rmse_zone"].value == pytest.approx(np.sqrt((error**2).mean()))
    assert found["bias_zone_C"].value == pytest.approx(error[:, 2].mean())
    right, left = error[:, :3].sum(axis=1), error[:, 3:].sum(axis=1)
    assert found["mae_right"].value == pytest.approx(np.abs(right).mean())
    assert found["bias_left"].value == pytest.approx(left.mean())
    whole = target.sum(axis=1), expected.sum(axis=1)
    assert found["spearman_global"].value == pytest.approx(
        stats.spearmanr(*whole).statistic
    )
    assert found["spearman_zone"].value == pytest.approx(
        stats.spearmanr(target.ravel(), expected.ravel()).statistic
    )
    for name, estimate in found.items():
        assert estimate.lo < estimate.value < estimate.hi, name
        assert estimate.n == 40


def test_limits_of_agreement_are_bland_and_altmans(scores):
    target, expected, patients = scores
    found = scores_agreement(target, expected, patients, resamples=0)
    error = expected.sum(axis=1) - target.sum(axis=1)
    for name, sign in (("low", -1), ("high", 1)):
        limit = error.mean() + sign * 1.96 * error.std(ddof=1)
        assert found[f"limits_{name}_global"].value == pytest.approx(limit)


def test_the_readers_stand_beside_the_model(scores):
    first, expected, patients = scores
    second = np.clip(first + generator(1, "reader").integers(-1, 2, first.shape), 0, 3)
    found = second_reader_metrics(expected, first, second, patients, resamples=0)
    assert found["mae_zone_junior"].value == pytest.approx(
        np.abs(expected - second).mean()
    )
    assert found["mae_global_junior_reader"].value == pytest.approx(
        np.abs(first.sum(axis=1) - second.sum(axis=1)).mean()
    )
    assert found["icc_zone_junior_reader"].value > found["icc_zone_junior"].value
