"""Temperatures against the closed form, a grid and scikit-learn's log loss."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from cxr_jax.rng import generator
from cxr_jax.stats import calibration, tempering


def drawn(seed, shape=(60,), classes=4, scale=3.0):
    """Probabilities that are too sure by a factor of `scale`, and labels."""
    g = generator(seed, "calibration")
    logits = g.normal(size=(*shape, classes))
    uniform = g.uniform(size=(*shape, 1))
    labels = (uniform > scipy.special.softmax(logits, -1).cumsum(-1)).sum(-1)
    labels = np.minimum(labels, classes - 1)
    return scipy.special.softmax(scale * logits, axis=-1), labels


@pytest.mark.parametrize("gap", [0.4, 1.7, 5.0])
@pytest.mark.parametrize("right", [60, 75, 99])
def test_two_classes_have_a_closed_form(gap, right):
    """Always as sure, right in a share q: gap / T has to be logit(q)."""
    probs = np.tile(scipy.special.softmax([0.0, gap]), (100, 1))
    labels = (np.arange(100) < right).astype(int)
    expected = gap / scipy.special.logit(right / 100)
    found = calibration.fit_temperature(probs, labels)
    assert found == pytest.approx(expected, rel=1e-8)
    assert tempering.tempered(probs, found)[:, 1] == pytest.approx(right / 100)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), scale=st.floats(0.3, 5))
def test_no_other_temperature_is_better(seed, scale):
    """By a bounded search over scikit-learn's log loss, which knows no slope."""
    probs, labels = drawn(seed, scale=scale)
    logits = np.log(probs)

    def loss(log_temperature):
        scaled = scipy.special.softmax(logits / np.exp(log_temperature), axis=1)
        return log_loss(labels, scaled, labels=range(4))

    bounds = tuple(np.log([calibration.LOWEST, calibration.HIGHEST]))
    least = scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded")
    found = calibration.fit_temperature(probs, labels)
    assert loss(np.log(found)) <= least.fun + 1e-9
    assert found == pytest.approx(np.exp(least.x), rel=1e-3)


def test_a_known_temperature_is_recovered():
    """What was drawn from a softmax and then sharpened by 3 is softened by about 3."""
    probs, labels = drawn(0, shape=(20_000,), scale=3.0)
    assert calibration.fit_temperature(probs, labels) == pytest.approx(3.0, rel=0.05)


def test_zones_are_pooled():
    probs, labels = drawn(1, shape=(20, 6))
    pooled = calibration.fit_temperature(probs.reshape(120, 4), labels.reshape(120))
    assert calibration.fit_temperature(probs, labels) == pytest.approx(pooled)
    losses = calibration.log_losses(probs, labels)
    assert losses.shape == (20, 6)
    expected = log_loss(labels.ravel(), probs.reshape(120, 4), labels=range(4))
    assert losses.mean() == pytest.approx(expected)


def test_order_and_sum_are_kept():
    probs, _ = drawn(2)
    for temperature in (0.2, 1.0, 7.0):
        found = tempering.tempered(probs, temperature)
        np.testing.assert_array_equal(found.argsort(1), probs.argsort(1))
        np.testing.assert_allclose(found.sum(1), 1.0)
    np.testing.assert_allclose(tempering.tempered(probs, 1.0), probs)


@pytest.mark.parametrize(
    "labels, expected",
    [
        ([1, 1], calibration.LOWEST),  # all right: never sure enough
        ([0, 0], calibration.HIGHEST),  # all wrong: never modest enough
    ],
)
def test_a_val_split_without_an_optimum_gives_the_limit(labels, expected):
    probs = np.array([[0.3, 0.7], [0.2, 0.8]])
    assert calibration.fit_temperature(probs, np.array(labels)) == expected


def test_temperature_is_one_if_it_makes_no_difference():
    assert calibration.fit_temperature(np.full((3, 4), 0.25), np.arange(3)) == 1.0


def test_a_probability_of_zero_stays_finite():
    probs, labels = np.array([[0.0, 1.0], [0.0, 1.0], [0.5, 0.5]]), np.array([1, 0, 1])
    assert np.isfinite(calibration.log_losses(probs, labels)).all()
    assert np.isfinite(tempering.tempered(probs, 0.05)).all()
    assert 1 < calibration.fit_temperature(probs, labels) <= calibration.HIGHEST


def test_vector_scaling_recovers_scale_and_shift_of_each_class():
    g = generator(0, "vector")
    logits = g.normal(0, 2, (20_000, 3))
    logits -= logits.mean(axis=1, keepdims=True)
    true = scipy.special.softmax(logits * [0.5, 1.0, 1.5] + [0.6, 0.0, -0.6], axis=1)
    labels = (g.random((20_000, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(max=2)
    scale, shift = calibration.fit_vector(scipy.special.softmax(logits, axis=1), labels)
    np.testing.assert_allclose(scale, [0.5, 1.0, 1.5], atol=0.1)
    np.testing.assert_allclose(shift, [0.6, 0.0, -0.6], atol=0.05)
    found = calibration.vector_scaled(
        scipy.special.softmax(logits, axis=1), scale, shift
    )
    np.testing.assert_allclose(found, true, atol=0.03)


def test_vector_scaling_stays_finite_if_a_class_is_missing():
    probs = np.tile([0.6, 0.3, 0.1], (30, 1))
    scale, shift = calibration.fit_vector(probs, np.zeros(30, int))
    assert np.isfinite([*scale, *shift]).all()
    assert calibration.vector_scaled(probs, scale, shift)[0, 0] > 0.6
