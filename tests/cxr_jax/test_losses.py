"""Every loss against scikit-learn, scipy or a loop in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from cxr_jax import losses
from cxr_jax.rng import generator

B, Z, K = 5, 6, 4
ALL = {
    "cross_entropy": losses.cross_entropy,
    "focal": losses.focal,
    "ranked_probability": losses.ranked_probability,
    "absolute_error": losses.absolute_error,
    "ce_mae": losses.ce_mae,
}


def batch(seed=0, scale=2.0, shape=(B, Z)):
    g = generator(seed, "losses")
    logits = (scale * g.normal(size=(*shape, K))).astype(np.float32)
    return logits, g.integers(0, K, shape)


def loop(logits, labels, loss_of_one):
    """The mean over zones of loss_of_one(probabilities [K], label), per example."""
    p = scipy.special.softmax(logits.astype(np.float64), axis=-1)
    return np.array(
        [
            np.mean([loss_of_one(p[b, z], labels[b, z]) for z in range(Z)])
            for b in range(len(p))
        ]
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), smoothing=st.floats(0, 0.5))
def test_cross_entropy(seed, smoothing):
    logits, labels = batch(seed)
    weights = generator(seed, "weights").uniform(0.1, 3, K)

    def one(p, label):
        target = np.full(K, smoothing / K)
        target[label] += 1 - smoothing
        return -np.sum(weights * target * np.log(p))

    np.testing.assert_allclose(
        losses.cross_entropy(
            logits, labels, smoothing=smoothing, class_weights=weights
        ),
        loop(logits, labels, one),
        rtol=1e-4,
    )


def test_cross_entropy_equals_scikit_learns():
    logits, labels = batch(shape=(40,))
    p = scipy.special.softmax(logits.astype(np.float64), axis=-1)
    ours = losses.cross_entropy(logits, labels)
    assert ours.shape == (40,)
    expected = log_loss(labels, p, labels=range(K))
    assert float(ours.mean()) == pytest.approx(expected, rel=1e-5)
    weights = np.array([0.5, 1.0, 2.0, 0.1])
    weighted = losses.cross_entropy(logits, labels, class_weights=weights)
    expected = log_loss(labels, p, labels=range(K), sample_weight=weights[labels])
    assert float(weighted.sum()) / weights[labels].sum() == pytest.approx(
        expected, rel=1e-5
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), gamma=st.floats(0, 5))
def test_focal(seed, gamma):
    logits, labels = batch(seed)
    weights = generator(seed, "weights").uniform(0.1, 3, K)
    expected = loop(
        logits,
        labels,
        lambda p, y: -weights[y] * (1 - p[y]) ** gamma * np.log(p[y]),
    )
    ours = losses.focal(logits, labels, gamma=gamma, class_weights=weights)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_focal_without_focus_is_cross_entropy():
    logits, labels = batch()
    np.testing.assert_allclose(
        losses.focal(logits, labels, gamma=0.0),
        losses.cross_entropy(logits, labels),
        rtol=1e-5,
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_ranked_probability(seed):
    logits, labels = batch(seed)

    def one(p, label):
        # scipy's energy distance is sqrt(2 * integral of the squared difference
        # of the cumulative distributions).
        distance = scipy.stats.energy_distance(range(K), [label], u_weights=p)
        return distance**2 / 2

    np.testing.assert_allclose(
        losses.ranked_probability(logits, labels),
        loop(logits, labels, one),
        rtol=1e-4,
        atol=1e-6,
    )


def test_ranked_probability_penalises_larger_errors_more():
    logits = np.array([[[20.0, 0, 0, 0]]] * 4, np.float32)
    labels = np.arange(4)[:, None]
    np.testing.assert_allclose(
        losses.ranked_probability(logits, labels), [0, 1, 2, 3], atol=1e-5
    )


def test_absolute_error_and_ce_mae():
    logits, labels = batch()
    mae = loop(logits, labels, lambda p, y: abs(p @ np.arange(K) - y))
    ce = loop(logits, labels, lambda p, y: -np.log(p[y]))
    np.testing.assert_allclose(losses.absolute_error(logits, labels), mae, rtol=1e-4)
    np.testing.assert_allclose(
        losses.ce_mae(logits, labels, alpha=0.25), 0.75 * ce + 0.25 * mae, rtol=1e-4
    )


def test_two_logits_are_the_sigmoid():
    z = np.array([[-3.0], [0.5], [12.0]], np.float32)
    labels = np.array([1, 0, 1])
    p = scipy.special.expit(z[:, 0].astype(np.float64))
    expected = -np.log(np.where(labels == 1, p, 1 - p))
    np.testing.assert_allclose(
        losses.cross_entropy(losses.two_logits(z), labels),
        expected,
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_single_output_is_refused():
    for loss in ALL.values():
        with pytest.raises(ValueError, match="two_logits"):
            loss(np.zeros((3, 1), np.float32), np.zeros(3, int))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_strict_settings_shapes_and_finite_gradients(name, dtype):
    logits = np.zeros((4, Z, K), np.float32)
    logits[0, :, 0], logits[1, :, 0] = 1e4, -1e4
    logits[2, :, 0], logits[2, :, 1], logits[3] = 1e30, -1e30, 1e30
    logits, labels = jnp.asarray(logits, dtype), np.zeros((4, Z), int)
    loss = ALL[name]
    if name in ("cross_entropy", "focal", "ce_mae"):
        loss = jax.tree_util.Partial(loss, class_weights=(1.0, 2.0, 3.0, 4.0))
    with jax.numpy_rank_promotion("raise"), jax.checking_leaks():
        values = jax.jit(loss)(logits, labels)
        gradient = jax.jit(jax.grad(lambda x: loss(x, labels).sum()))(logits)
    assert values.shape == (4,)
    assert values.dtype == jnp.float32
    assert np.isfinite(values).all()
    assert np.isfinite(gradient).all()


def test_focal_gradient_is_finite_for_a_gamma_below_one():
    logits = np.array([[60.0, 0, 0, 0], [0, 0, 0, 0]], np.float32)
    labels = np.array([0, 0])
    gradient = jax.grad(lambda x: losses.focal(x, labels, gamma=0.5).sum())(logits)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[1]).max() > 0


def test_wrong_number_of_class_weights_is_named():
    logits, labels = batch()
    with pytest.raises(ValueError, match=r"4 classes need \(4,\)"):
        losses.cross_entropy(logits, labels, class_weights=[1.0, 2.0])
