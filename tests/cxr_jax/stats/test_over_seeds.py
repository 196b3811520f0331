"""Means over seeds: closed forms, and how often the interval holds the truth."""

import numpy as np
import pytest
from scipy import stats

from cxr_jax.stats import bootstrap, over_seeds


def test_without_patients_it_is_the_paired_t_test():
    one = np.array([[0.50], [0.61], [0.48], [0.55]])
    other = one + np.array([[0.02], [0.05], [0.01], [0.06]])
    found = over_seeds.difference(one, other, 90, 90, paired=True)
    wanted = stats.ttest_rel(other[:, 0], one[:, 0])
    low, high = wanted.confidence_interval()
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.estimate[:3] == pytest.approx((0.035, low, high))


def test_unpaired_it_is_welchs_t_test():
    one, other = np.array([[0.5], [0.6], [0.4]]), np.array([[0.7], [0.9]])
    found = over_seeds.difference(one, other, 90, 90, paired=False)
    wanted = stats.ttest_ind(other[:, 0], one[:, 0], equal_var=False)
    assert found.p == pytest.approx(wanted.pvalue)


def test_one_seed_has_the_interval_of_its_patients_and_says_so():
    g = np.random.default_rng(0)
    drawn = g.normal(0.4, 0.05, 20001)
    found = over_seeds.mean(drawn[None], 10_000, 10_000)
    half = 1.96 * 0.05
    assert found.estimate.hi - found.estimate.value == pytest.approx(half, rel=0.02)
    assert found.estimate.reason == over_seeds.ONE_SEED


@pytest.mark.parametrize("seeds", [2, 4, 8])
def test_the_smallest_that_could_be_shown_is_found_four_times_in_five(seeds):
    g = np.random.default_rng(seeds)
    gaps = g.normal(0, 0.1, (4000, seeds, 1))
    nothing = np.zeros((seeds, 1))
    first = over_seeds.difference(nothing, gaps[0], 90, 90, paired=True)
    in_errors = first.least / (gaps[0].std(ddof=1) / np.sqrt(seeds))
    shift = in_errors * 0.1 / np.sqrt(seeds)
    # The paired t test of scipy decides.
    p = stats.ttest_1samp(gaps[:, :, 0] + shift, 0, axis=1).pvalue
    assert stats.binomtest(int((p < 0.05).sum()), len(p), 0.8).pvalue > 1e-3


def test_undefined_and_constant_runs_have_no_interval():
    nothing = over_seeds.mean(np.full((2, 5), np.nan), 9, 9)
    assert not nothing.estimate.is_defined and np.isnan(nothing.p)
    alike = over_seeds.mean(np.full((3, 5), 0.5), 9, 9)
    assert alike.estimate.value == 0.5 and not alike.estimate.has_interval


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_hold_the_truth_over_new_patients_and_seeds(seeds):
    """Seeds and patients crossed: y = effect + seed + patient + both."""
    g = np.random.default_rng(seeds)
    patients, rounds, held = 40, 400, 0
    weights = bootstrap.weights(np.arange(patients), 200).astype(float)
    weights /= weights.sum(axis=1, keepdims=True)
    for _ in range(rounds):
        y = 0.3 + g.normal(0, 0.08, (seeds, 1)) + g.normal(0, 0.4, patients)
        y += g.normal(0, 0.2, (seeds, patients))
        found = over_seeds.mean(y @ weights.T, patients, patients).estimate
        held += found.lo <= 0.3 <= found.hi
    # 95 % and a little more: the part shared by both is counted twice.
    assert stats.binomtest(held, rounds, 0.95).pvalue > 1e-3 or held > 0.95 * rounds
    assert held < 0.999 * rounds
