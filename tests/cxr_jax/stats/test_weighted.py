"""Each statistic against scikit-learn or numpy with the same sample weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from cxr_jax.rng import generator
from cxr_jax.stats import weighted

cases = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 9999)
# 3 levels give ties everywhere, 1000 hardly any.
levels = st.sampled_from([3, 10, 1000])


def draw(seed, n=30, levels=1000):
    """Labels, scores with ties, and 4 rows of weights, some of them zero."""
    g = generator(seed, "weighted")
    positive = np.r_[True, False, g.random(n - 2) < g.uniform(0.1, 0.9)]
    scores = np.round(g.random(n) + 0.3 * positive, 9)
    scores = np.floor(scores * levels) / levels
    weights = g.uniform(0, 3, (4, n)) * (g.random((4, n)) < 0.7)
    weights[:, :2] = 1  # both classes keep some weight
    weights[0] = 1
    return positive, scores, weights


@cases
@given(seed=seeds, levels=levels)
def test_auroc(seed, levels):
    positive, scores, weights = draw(seed, levels=levels)
    expected = [sk.roc_auc_score(positive, scores, sample_weight=w) for w in weights]
    ours = weighted.auroc(positive, scores, weights)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@cases
@given(seed=seeds, levels=levels)
def test_average_precision(seed, levels):
    positive, scores, weights = draw(seed, levels=levels)
    expected = [
        sk.average_precision_score(positive, scores, sample_weight=w) for w in weights
    ]
    ours = weighted.average_precision(positive, scores, weights)
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


@cases
@given(seed=seeds, zones=st.sampled_from([None, 6]))
def test_mean_deviation_and_pearson(seed, zones):
    g = generator(seed, "moments")
    shape = (20,) if zones is None else (20, zones)
    x = 1e3 + g.normal(size=shape)  # far from zero: no cancellation allowed
    y = x + g.normal(size=shape)
    weights = g.uniform(0.01, 3, (4, 20))
    for row, w in enumerate(weights):
        each = np.repeat(w, zones or 1)
        mean = np.average(x.ravel(), weights=each)
        covariance = np.cov(x.ravel(), y.ravel(), aweights=each, ddof=0)
        error = sk.mean_absolute_error(x.ravel(), y.ravel(), sample_weight=each)
        found = [
            weighted.mean(x, weights)[row],
            weighted.mean(np.abs(x - y), weights)[row],
            weighted.standard_deviation(x, weights)[row],
            weighted.pearson(x, y, weights)[row],
        ]
        expected = [
            mean,
            error,
            np.sqrt(covariance[0, 0]),
            covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]),
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-8)


@cases
@given(seed=seeds, levels=st.integers(2, 19))
def test_quadratic_kappa(seed, levels):
    g = generator(seed, "kappa")
    x = g.integers(0, levels, 25)
    y = np.clip(x + g.integers(-1, 2, 25), 0, levels - 1)
    x[:2], y[:2] = (0, 1), (1, 0)
    weights = g.uniform(0.01, 3, (3, 25))
    # Without `labels` scikit-learn measures distances in levels that occur.
    expected = [
        sk.cohen_kappa_score(
            x, y, labels=range(levels), weights="quadratic", sample_weight=w
        )
        for w in weights
    ]
    ours = weighted.quadratic_kappa(x, y, weights)
    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-10)


@cases
@given(seed=seeds, classes=st.integers(2, 5))
def test_ratios(seed, classes):
    g = generator(seed, "f1")
    target, predicted = g.integers(0, classes, (2, 15))
    weights = g.uniform(0.1, 3, (3, 15))
    truly, called = target == 0, predicted == 0
    if truly.any():
        recall = [sk.recall_score(truly, called, sample_weight=w) for w in weights]
        ours = weighted.ratio(truly & called, truly, weights)
        np.testing.assert_allclose(ours, recall, rtol=1e-9, atol=1e-12)
    accuracy = [sk.accuracy_score(target, predicted, sample_weight=w) for w in weights]
    ours = weighted.mean(target == predicted, weights)
    np.testing.assert_allclose(ours, accuracy, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("statistic", [weighted.auroc, weighted.average_precision])
def test_a_row_with_only_one_class_is_undefined(statistic):
    positive, scores, _ = draw(0, n=6)
    weights = np.stack([np.ones(6), positive, ~positive]).astype(float)
    with np.errstate(all="ignore"):
        result = statistic(positive, scores, weights)
    np.testing.assert_array_equal(np.isnan(result), [False, True, True])
    for only in (np.ones(6, bool), np.zeros(6, bool)):
        with np.errstate(all="ignore"):
            assert np.isnan(statistic(only, scores, np.ones((2, 6)))).all()


def test_constants_are_undefined_even_if_rounding_hides_them():
    weights = np.stack([np.ones(7), [3, 0, 0, 0, 0, 0, 0]])
    x = np.arange(7.0)
    constants = [np.full(7, 0.1), np.full(7, 0.1) + 1e-17 * x, np.full(7, 1e6 / 3)]
    with np.errstate(all="ignore"):
        for constant in constants:
            assert np.isnan(weighted.pearson(x, constant, weights)).all()
            assert np.isnan(weighted.pearson(constant, x, weights)).all()
        # One image is left in the second row: no spread there.
        result = weighted.pearson(x + 0.1, 1 - x / 3, weights)
        np.testing.assert_allclose(result, [-1, np.nan])
        both = weighted.quadratic_kappa(np.full(7, 2), np.full(7, 2), weights)
        assert np.isnan(both).all()
        one = weighted.quadratic_kappa(np.arange(7), np.full(7, 2), weights)
        assert one[0] == pytest.approx(0)


@cases
@given(seed=seeds, levels=levels)
def test_spearman_with_integer_weights_matches_repeated_images(seed, levels):
    _, scores, _ = draw(seed, levels=levels)
    g = generator(seed, "spearman")
    other = np.floor(levels * (scores + g.normal(0, 0.3, len(scores)))) / levels
    weights = g.integers(0, 3, (4, len(scores))).astype(float)
    weights[0] = 1
    found = weighted.spearman(scores, other, weights)
    for row, ours in zip(weights.astype(int), found, strict=True):
        repeated = np.repeat(scores, row), np.repeat(other, row)
        if min(map(np.ptp, repeated)) == 0:
            assert np.isnan(ours)
            continue
        expected = stats.spearmanr(*repeated).statistic
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


def test_icc_matches_the_published_example():
    """Shrout and Fleiss 1979, table 2: four judges, ICC(2,1) = 0.29."""
    ratings = [
        [9, 2, 5, 8],
        [6, 1, 3, 2],
        [8, 4, 6, 8],
        [7, 1, 2, 6],
        [10, 5, 6, 9],
        [6, 2, 4, 7],
    ]
    found = weighted.intraclass(np.array(ratings), np.ones((1, 6)))
    assert found == pytest.approx(0.29, abs=0.005)


@cases
@given(seed=seeds)
def test_icc_matches_its_analysis_of_variance(seed):
    """Sums of squares of the repeated table, written out."""
    g = generator(seed, "icc")
    ratings = g.normal(size=(12, 1)) + g.normal(0, 0.7, (12, 3)) + [0, 0.5, 1]
    row = g.integers(0, 3, 12)
    row[:2] = 1
    cases_ = np.repeat(ratings, row, axis=0)
    n, k = cases_.shape
    grand = cases_.mean()
    rows = k * ((cases_.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    columns = n * ((cases_.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    inside = cases_ - cases_.mean(axis=1, keepdims=True) - cases_.mean(axis=0) + grand
    rest = (inside**2).sum() / ((n - 1) * (k - 1))
    expected = (rows - rest) / (rows + (k - 1) * rest + k * (columns - rest) / n)
    found = weighted.intraclass(ratings, row[None].astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
