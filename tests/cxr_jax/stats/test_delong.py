"""DeLong's variance by its definition over all pairs, and its coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from cxr_jax.rng import generator
from cxr_jax.stats import delong

cases = settings(max_examples=20, deadline=None)


def draw(seed, n=40, levels=20):
    g = generator(seed, "delong")
    positive = np.r_[[True, True, False, False], g.random(n - 4) < 0.4]
    shared = g.normal(size=n) + positive
    scores = [np.round(levels * (shared + g.normal(0, s, n))) for s in (0.5, 1.0)]
    return positive, scores


def by_pairs(positive, scores):
    """Structural components from the table of all pairs, DeLong et al. 1988, (4)."""
    tables = [
        (s[positive][:, None] > s[~positive])
        + 0.5 * (s[positive][:, None] == s[~positive])
        for s in scores
    ]
    over = np.cov([t.mean(axis=1) for t in tables]) / positive.sum()
    under = np.cov([t.mean(axis=0) for t in tables]) / (~positive).sum()
    return [t.mean() for t in tables], over + under


@cases
@given(seed=st.integers(0, 9999), levels=st.sampled_from([1, 5, 1000]))
def test_areas_and_covariance_by_all_pairs(seed, levels):
    positive, scores = draw(seed, levels=levels)
    found, covariance = delong.areas(positive, scores)
    expected, expected_covariance = by_pairs(positive, scores)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found[0], roc_auc_score(positive, scores[0]))


def test_the_comparison_is_a_normal_test_of_the_difference():
    positive, scores = draw(3, n=200)
    (one, other), c = by_pairs(positive, scores)
    error = np.sqrt(c[0, 0] + c[1, 1] - 2 * c[0, 1])
    found = delong.compare(positive, *scores, range(200))
    assert found.difference.value == pytest.approx(one - other)
    assert found.difference.hi - found.difference.value == pytest.approx(
        1.959964 * error
    )
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(one - other) / error))
    back = delong.compare(positive, *scores[::-1], range(200))
    assert back.difference.value == -found.difference.value and back.p == found.p


def test_what_has_no_interval_says_why():
    separated = delong.auroc([True, True, False, False], [3, 4, 1, 2], range(4))
    assert (
        separated.value == 1
        and np.isnan(separated.lo)
        and "separated" in separated.reason
    )
    one_class = delong.auroc([True, True], [1, 2], range(2))
    assert np.isnan(one_class.value) and "one class" in one_class.reason
    positive, scores = draw(0)
    alike = delong.compare(positive, scores[0], 2 * scores[0] + 1, range(40))
    assert alike.difference.value == 0 and "alike" in alike.difference.reason


def test_four_patients_of_a_class_have_no_interval():
    positive, scores = np.arange(60) < 8, generator(2, "few").normal(size=60)
    patients = np.r_[np.repeat(np.arange(4), 2), np.arange(4, 56)]
    assert delong.auroc(positive, scores, range(60)).has_interval
    found = delong.auroc(positive, scores, patients)
    assert not found.has_interval and "only 4 patients" in found.reason
    other = delong.compare(positive, scores, -scores, patients)
    assert not other.difference.has_interval and np.isnan(other.p)


def test_the_interval_is_that_of_the_log_odds():
    """By hand from the area and its variance; pROC's, of the area, is another."""
    positive, scores = draw(5, n=80)
    (area,) = by_pairs(positive, scores)[0][:1]
    found = delong.auroc(positive, scores[0], range(80))
    covariance = by_pairs(positive, scores)[1]
    reach = 1.959964 * np.sqrt(covariance[0, 0]) / (area * (1 - area))
    odds = np.log(area / (1 - area))
    ends = [1 / (1 + np.exp(-(odds + s * reach))) for s in (-1, 1)]
    assert (found.lo, found.hi) == pytest.approx(ends)


def test_intervals_cover_the_true_area():
    """Two normals one deviation apart: the area is Phi(1 / sqrt 2)."""
    true = stats.norm.cdf(1 / np.sqrt(2))
    g = generator(0, "coverage")
    positive = np.repeat([True, False], [60, 90])
    hits = 0
    for _ in range(1000):
        found = delong.auroc(positive, g.normal(size=150) + positive, range(150))
        hits += found.lo <= true <= found.hi
    # Binomial: 0.95 +- 3 x 0.0069.
    assert 0.929 <= hits / 1000 <= 0.971
