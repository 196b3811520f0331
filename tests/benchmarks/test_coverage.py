"""The true values of simulated metrics, and a small study of interval coverage."""

import numpy as np
import pytest
from scipy import special, stats

from benchmarks import coverage
from cxr_jax.rng import generator

# The goal for 95 % intervals, and how many of 200 it may be by chance, one in a thousand
# times less or more.
DATASETS = 200
FEWEST = stats.binom.ppf(0.001, DATASETS, 0.92)
MOST = stats.binom.ppf(0.999, DATASETS, 0.97)


@pytest.mark.parametrize("case", coverage.cases(), ids=lambda case: case.name)
def test_a_very_large_dataset_has_the_true_value(case):
    """200,000 patients with one image each; the largest standard error is 0.004."""
    n = 200_000
    statistic = case.draw(generator(0, case.name), np.arange(n))
    assert statistic(np.ones((1, n)))[0] == pytest.approx(case.truth, abs=0.012)


def test_images_of_a_patient_are_correlated():
    found = coverage._effect(generator(0, "effect"), np.repeat(np.arange(20_000), 2))
    one, other = found.reshape(-1, 2).T
    assert stats.pearsonr(one, other).statistic == pytest.approx(0.6, abs=0.03)
    assert found.std() == pytest.approx(1, abs=0.03)


def test_intervals_over_patients_cover_the_truth_and_those_over_images_do_not():
    mae = [case for case in coverage.cases() if case.name == "mae"]
    found = coverage.study(mae, DATASETS, patients=100, resamples=200)["mae"]
    assert FEWEST <= found["patients"].count <= MOST
    assert found["images"].count < FEWEST
    assert found["images"].width < 0.85 * found["patients"].width
    text = coverage.table({"mae": found}, {"mae": mae[0].truth})
    assert f"{found['patients'].count / DATASETS:.1%} (" in text


@pytest.mark.parametrize("zones", [1, 6])
def test_sets_contain_the_truth_however_images_are_split(zones):
    """168 images by an overconfident model; patients have one to four of them."""
    g = generator(0, "dealt")
    odds = g.normal(0, 2, (168, zones, 4))
    likely = special.softmax(0.6 * odds, axis=-1).cumsum(axis=-1)
    labels = (g.random((168, zones, 1)) > likely).sum(axis=-1).clip(max=3)
    probs = special.softmax(odds, axis=-1)
    patients = np.sort(g.integers(0, 80, 168))
    for units in (np.arange(168), patients):
        found = coverage.deal(labels, probs, units, 80, splits=60)
        assert found.coverage.shape == found.size.shape == (60,)
        # Patients weigh alike, whatever their images and zones: at least as promised.
        assert 0.885 <= found.coverage.mean() <= 0.945
        assert 1 < found.size.mean() < 4
