"""Operating points and calibration of a classifier against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from cxr_jax.metrics import (
    classes_agreement,
    confidence_metrics,
    fit_confidence,
    fit_interval,
    interval_metrics,
    operating_metrics,
    sensitive_thresholds,
)
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap, tempering


def split(classes, n=120, seed=0):
    g = generator(seed, "operating")
    target = np.r_[np.arange(classes), g.integers(0, classes, n - classes)]
    logits = g.normal(size=(n, classes)) + 1.2 * np.eye(classes)[target]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return target, probs, bootstrap.weights(np.repeat(np.arange(n // 2), 2), 50)


def test_predictive_values_and_likelihood_ratios():
    target, probs, weights = split(2)
    positive, called = target == 1, probs[:, 1] > 0.4
    found = operating_metrics(positive, called, weights, suffix="_x")
    expected = {
        "sensitivity_x": sk.recall_score(positive, called),
        "specificity_x": sk.recall_score(~positive, ~called),
        "ppv_x": sk.precision_score(positive, called),
        "npv_x": sk.precision_score(~positive, ~called),
    }
    ratios = sk.class_likelihood_ratios(positive, called)
    expected |= {"lr_positive_x": ratios[0], "lr_negative_x": ratios[1]}
    assert {n: e.value for n, e in found.items()} == pytest.approx(expected)
    assert (
        found["ppv_x"].n == called.sum() and found["sensitivity_x"].n == positive.sum()
    )
    assert all(e.lo < e.value < e.hi for e in found.values())


def test_undefined_figures_say_why():
    target, _, weights = split(2)
    positive = target == 1
    found = operating_metrics(positive, np.zeros(120, bool), weights)
    assert np.isnan(found["ppv"].value) and found["ppv"].reason == "no images"
    assert (
        np.isnan(found["lr_positive"].value)
        and "infinite" in found["lr_positive"].reason
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 9999), n=st.integers(5, 60))
def test_the_sensitive_threshold_is_the_highest_that_finds_enough(seed, n):
    target, probs, _ = split(2, n=2 * n, seed=seed)
    own = probs[target == 1, 1]
    threshold = sensitive_thresholds(target, probs)[1]
    assert (own >= threshold).mean() >= 0.95
    above = own[own > threshold]
    assert len(above) / len(own) < 0.95


def test_a_class_that_does_not_occur_calls_everything():
    found = sensitive_thresholds(np.zeros(3, int), np.full((3, 2), 0.5))
    assert found.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("classes", [2, 4])
def test_agreement_over_classes(classes):
    target, probs, weights = split(classes)
    called = probs.argmax(axis=1)
    found = classes_agreement(target, called, classes, weights)
    expected = {
        "balanced_accuracy": sk.balanced_accuracy_score(target, called),
        "kappa": sk.cohen_kappa_score(target, called),
        "mcc": sk.matthews_corrcoef(target, called),
        "weighted_f1": sk.f1_score(target, called, average="weighted"),
        "micro_recall": sk.recall_score(target, called, average="micro"),
        "macro_precision": sk.precision_score(target, called, average="macro"),
    }
    assert {n: found[n].value for n in expected} == pytest.approx(expected)
    assert all(e.lo < e.value < e.hi for e in found.values())


def test_the_temperature_mends_calibration_and_only_that():
    """A model that is three times too sure."""
    target, probs, weights = split(2, n=2000)
    too_sure = tempering.tempered(probs, 1 / 3)
    fitted = fit_confidence(target, too_sure, np.arange(len(target)))
    found = confidence_metrics(target, too_sure, weights, fitted)
    assert found["calibration_slope"].hi < 0.6
    after = found["calibration_slope_tempered"]
    assert after.value == pytest.approx(
        found["calibration_slope"].value * fitted["temperature"], rel=1e-3
    )
    assert found["ece"].value > found["ece_calibrated"].hi
    assert found["ece_tempered"].value < found["ece_calibrated_tempered"].hi
    assert found["ece_debiased"].value > 0.1 > 3 * found["ece_debiased_tempered"].value
    assert found["brier"].value == pytest.approx(
        sk.brier_score_loss(target, too_sure[:, 1])
    )


def test_sets_of_zones_hold_what_was_promised():
    g = generator(0, "sets")
    probs = g.dirichlet(np.ones(4), (600, 6))
    target = (g.random((600, 6, 1)) > probs.cumsum(axis=-1)).sum(axis=-1).clip(max=3)
    fitted = fit_confidence(target[:300], probs[:300], np.arange(300))
    found = confidence_metrics(
        target[300:], probs[300:], bootstrap.weights(np.arange(300), 100), fitted
    )
    assert 0.88 <= found["coverage_90"].value <= 0.92
    assert 1 < found["set_size_90"].value < 4
    assert found["coverage_90"].n == 300


def test_intervals_of_the_global_score():
    g = generator(1, "intervals")
    probs = g.dirichlet(np.ones(4), (600, 6))
    target = (g.random((600, 6, 1)) > probs.cumsum(axis=-1)).sum(axis=-1).clip(max=3)
    weights = bootstrap.weights(np.arange(300), 100)
    fitted = fit_confidence(target[:300], probs[:300], np.arange(300))
    factor = fit_interval(target[:300], probs[:300], np.arange(300), fitted)
    found = interval_metrics(target[300:], probs[300:], weights, fitted, factor)
    assert 0.86 <= found["coverage_90_global"].value <= 0.94
    assert 4 < found["width_90_global"].value < 12
    none = fit_interval(target[:5], probs[:5], np.arange(5), fitted)
    everything = interval_metrics(target[300:], probs[300:], weights, fitted, none)
    assert none is None
    assert everything["coverage_90_global"].value == 1
    assert everything["width_90_global"].value == 18
