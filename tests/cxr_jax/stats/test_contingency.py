"""Each statistic of the table against scikit-learn with the same sample weights."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from cxr_jax.rng import generator
from cxr_jax.stats import contingency

cases = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 9999)


def draw(seed, classes, n=40):
    g = generator(seed, "table")
    target = np.r_[np.arange(classes), g.integers(0, classes, n - classes)]
    hit = g.random(n) < g.uniform(0.2, 0.9)
    predicted = np.where(hit, target, g.integers(0, classes, n))
    weights = g.integers(0, 4, (4, n)).astype(float)
    weights[:, :classes] += 1
    weights[0] = 1
    return target, predicted, weights


@cases
@given(seed=seeds, classes=st.sampled_from([2, 4]))
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_precision_recall_f1(average, seed, classes):
    target, predicted, weights = draw(seed, classes)
    for ours, theirs in (
        (contingency.precision, sk.precision_score),
        (contingency.recall, sk.recall_score),
        (contingency.f1, sk.f1_score),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = [
                theirs(target, predicted, average=average, sample_weight=w)
                for w in weights
            ]
        found = ours(contingency.cells(target, predicted, classes, weights), average)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@cases
@given(seed=seeds, classes=st.sampled_from([2, 4]))
def test_agreement(seed, classes):
    target, predicted, weights = draw(seed, classes)
    for ours, theirs in (
        (contingency.balanced_accuracy, sk.balanced_accuracy_score),
        (contingency.kappa, sk.cohen_kappa_score),
        (contingency.matthews, sk.matthews_corrcoef),
    ):
        expected = [theirs(target, predicted, sample_weight=w) for w in weights]
        found = ours(contingency.cells(target, predicted, classes, weights))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_undefined_values_are_nan():
    one_call = np.array([[[0.0, 1.0], [0.0, 2.0]]])
    assert np.isnan(contingency.matthews(one_call))
    assert np.isnan(contingency.kappa(np.array([[[0.0, 0.0], [0.0, 3.0]]])))


def test_likelihood_ratios_of_a_table():
    """Sensitivity 0.9, specificity 0.8: 0.9 / 0.2 and 0.1 / 0.8."""
    tables = np.array([[[8.0, 2.0], [1.0, 9.0]], [[10.0, 0.0], [0.0, 10.0]]])
    positive, negative = (contingency.likelihood_ratio(tables, call) for call in (1, 0))
    assert positive[0] == pytest.approx(4.5) and np.isnan(positive[1])
    assert negative.tolist() == pytest.approx([0.125, 0.0])
