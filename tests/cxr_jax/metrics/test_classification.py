import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from cxr_jax.metrics import (
    choose_thresholds,
    class_frequencies,
    classify_metrics,
    confusion_matrix,
    decide,
    majority_metrics,
)
from cxr_jax.metrics.classification import slug
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap
from tfds_builders.common.errors import InputError

RADIOGRAPHY = ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]
LEVELS = ["NEGATIVE", "NORMAL-PCR+", "MILD", "MODERATE", "SEVERE"]


def split(classes, n=80, seed=0):
    g = generator(seed, "classification")
    target = np.r_[np.arange(classes), g.integers(0, classes, n - classes)]
    logits = g.normal(size=(n, classes)) + 1.5 * np.eye(classes)[target]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return target, probs, bootstrap.weights(np.repeat(np.arange(n // 2), 2), 50)


def test_two_classes_against_scikit_learn():
    target, probs, weights = split(2)
    metrics = classify_metrics(target, probs, weights, "NP", [0.9, 0.4])
    called = probs[:, 1] >= 0.4
    expected = {
        "prevalence": target.mean(),
        "auroc": sk.roc_auc_score(target, probs[:, 1]),
        "auprc": sk.average_precision_score(target, probs[:, 1]),
        "accuracy": sk.accuracy_score(target, called),
        "macro_f1": sk.f1_score(target, called, average="macro"),
        "sensitivity": sk.recall_score(target, called),
        "specificity": sk.recall_score(target, called, pos_label=0),
    }
    assert {name: m.value for name, m in metrics.items()} == pytest.approx(expected)
    for name, m in metrics.items():
        assert m.lo < m.value < m.hi and m.reason == "", name
    assert metrics["sensitivity"].n == target.sum()
    assert metrics["specificity"].n == 80 - target.sum()
    assert metrics["auroc"].n == 80


def test_more_classes_against_scikit_learn():
    target, probs, weights = split(4)
    thresholds = np.array([0.2, 0.3, 0.25, 0.4])
    metrics = classify_metrics(target, probs, weights, RADIOGRAPHY, thresholds)
    expected = {
        "accuracy": sk.accuracy_score(target, probs.argmax(1)),
        "macro_f1": sk.f1_score(target, probs.argmax(1), average="macro"),
        "auroc_macro": sk.roc_auc_score(target, probs, multi_class="ovr"),
    }
    for k, name in enumerate(("COVID", "Lung_Opacity", "Normal", "Viral_Pneumonia")):
        one, called = target == k, probs[:, k] >= thresholds[k]
        expected[f"prevalence_{name}"] = one.mean()
        expected[f"auroc_{name}"] = sk.roc_auc_score(one, probs[:, k])
        expected[f"auprc_{name}"] = sk.average_precision_score(one, probs[:, k])
        expected[f"sensitivity_{name}"] = sk.recall_score(one, called)
        expected[f"specificity_{name}"] = sk.recall_score(~one, ~called)
    assert {name: m.value for name, m in metrics.items()} == pytest.approx(expected)
    for name, m in metrics.items():
        assert m.lo < m.value < m.hi, name


def test_by_severity():
    #         negative      normal  mild  severe, one unknown; no moderate
    severity = np.array([0, 0, 0, 1, 1, 2, 4, 4, 4, -1])
    target = (severity != 0).astype(int)
    score = np.array([0.1, 0.2, 0.7, 0.3, 0.6, 0.9, 0.9, 0.4, 0.8, 0.9])
    probs = np.stack([1 - score, score], axis=1)
    metrics = classify_metrics(
        target,
        probs,
        bootstrap.weights(range(10), 50),
        "NP",
        [0.5, 0.5],
        severity,
        LEVELS,
    )
    found = {name: (m.value, m.n) for name, m in metrics.items() if "severity" in name}
    assert found == {
        "specificity_severity_NEGATIVE": (pytest.approx(2 / 3), 3),
        "sensitivity_severity_NORMAL-PCR+": (pytest.approx(1 / 2), 2),
        "sensitivity_severity_MILD": (1.0, 1),
        "sensitivity_severity_MODERATE": (pytest.approx(np.nan, nan_ok=True), 0),
        "sensitivity_severity_SEVERE": (pytest.approx(2 / 3), 3),
    }
    assert metrics["sensitivity_severity_MODERATE"].reason == "no images"
    # One mild image, called: 1 of 1. Of three, two are called: too few to resample.
    mild = metrics["sensitivity_severity_MILD"]
    assert (mild.lo, mild.hi) == pytest.approx((0.025, 1))
    severe = metrics["sensitivity_severity_SEVERE"]
    assert np.isnan(severe.lo) and "only 3 patients" in severe.reason


def test_severity_is_left_out_where_it_does_not_follow_the_classes():
    severity = np.array([0, 0, 1, 2, 4, -1])

    def of(target, classes):
        probs = np.eye(len(classes))[target]  # perfect
        thresholds = np.full(len(classes), 0.5)
        found = classify_metrics(
            target,
            probs,
            bootstrap.weights(range(6), 20),
            classes,
            thresholds,
            severity,
            LEVELS,
        )
        assert found["accuracy"].value == 1
        return {k: m.value for k, m in found.items() if "severity" in k and m.n}

    target = np.array([0, 0, 1, 1, 1, 1])
    assert set(of(target, "NP").values()) == {1.0} and len(of(target, "NP")) == 4
    # Level -1 says nothing about the class.
    assert of(np.array([0, 0, 1, 1, 1, 0]), "NP") == of(target, "NP")
    assert of(1 - target, "PN") == {}
    assert of(target, RADIOGRAPHY) == {}
    assert of(np.array([0, 0, 0, 1, 1, 1]), ["no or normal", "grey"]) == {}
    assert of(np.array([0, 1, 1, 1, 1, 1]), "NP") == {}


def test_one_class_only_is_undefined_with_the_reason():
    probs = np.array([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]])
    metrics = classify_metrics(
        np.ones(3, int), probs, bootstrap.weights(list("abc"), 20), "NP", [0.5, 0.5]
    )
    for name in ("auroc", "auprc"):
        assert np.isnan(metrics[name].value)
        assert metrics[name].reason == "only one class is present"
    assert metrics["specificity"].reason == "no images"
    assert metrics["specificity"].n == 0
    assert metrics["sensitivity"].value == pytest.approx(2 / 3)

    target, probs, weights = split(4)
    keep = target != 3
    metrics = classify_metrics(
        target[keep],
        probs[keep],
        weights[:, keep],
        RADIOGRAPHY,
        np.full(4, 0.5),
    )
    assert np.isnan(metrics["auroc_macro"].value)
    assert metrics["auroc_macro"].reason == "no image of Viral Pneumonia"
    assert np.isfinite(metrics["auroc_COVID"].value)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999), levels=st.sampled_from([4, 1000]))
def test_thresholds_maximise_youdens_index(seed, levels):
    g = generator(seed, "youden")
    positive = np.r_[True, False, g.random(28) < 0.4]
    scores = np.floor((g.random(30) + 0.5 * positive) * levels) / levels
    (threshold,) = choose_thresholds(~positive, scores[:, None])  # class 0
    false_alarms, hits, _ = sk.roc_curve(positive, scores, drop_intermediate=False)
    best = (hits - false_alarms).max()
    called = scores >= threshold
    found = called[positive].mean() - called[~positive].mean()
    if best > 1e-9:
        assert found == pytest.approx(best)
        assert threshold not in scores
        # No lower threshold is as good.
        for lower in np.unique(scores[scores < threshold]):
            called = scores >= lower
            assert called[positive].mean() - called[~positive].mean() < best - 1e-9
    else:
        assert threshold == 0.5


def test_thresholds_midway_lowest_and_fallbacks():
    def threshold(target, scores):
        scores = np.array(scores)
        return choose_thresholds(target, np.stack([1 - scores, scores], axis=1))[1]

    assert threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]) == pytest.approx(0.4)
    # Both 0.15 and 0.45 give J = 1/2: the lower is taken.
    assert threshold([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.5]) == pytest.approx(0.15)
    assert threshold([1, 1], [0.1, 0.2]) == 0.5
    assert threshold([0, 1], [0.3, 0.3]) == 0.5
    assert threshold([1, 0], [0.1, 0.9]) == 0.5  # worse than chance everywhere
    above = np.nextafter(0.3, 1)
    assert threshold([0, 1], [0.3, above]) == above


def test_decide_and_confusion_matrix():
    probs = np.array([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    assert decide(probs, [0.5, 0.4]).tolist() == [1, 0, 1]
    target, probs, _ = split(3)
    predicted = decide(probs, np.zeros(3))
    np.testing.assert_array_equal(predicted, probs.argmax(axis=1))
    np.testing.assert_array_equal(
        confusion_matrix(target, predicted, 3), sk.confusion_matrix(target, predicted)
    )
    assert confusion_matrix([], [], 2).tolist() == [[0, 0], [0, 0]]


def test_the_majority_baseline():
    frequencies = class_frequencies([1, 1, 1, 0], 2)
    assert frequencies.tolist() == [0.25, 0.75]
    weights = bootstrap.weights(range(5), 50)
    metrics = majority_metrics(np.array([1, 0, 1, 1, 0]), frequencies, weights)
    assert {name: m.value for name, m in metrics.items()} == pytest.approx(
        # (2 * 3 / (3 + 5) + 0) / 2
        {"accuracy_constant": 0.6, "macro_f1_constant": 0.375}
    )


def test_names_and_bad_arrays():
    assert slug("Viral Pneumonia") == "Viral_Pneumonia"
    assert slug("NORMAL-PCR+") == "NORMAL-PCR+"
    assert slug("a/b: c") == "a_b_c"
    target, probs, weights = split(2)
    with pytest.raises(ValueError, match="target holds 2"):
        classify_metrics(target + 1, probs, weights, "NP", [0.5, 0.5])
    probs[3] = np.inf
    with pytest.raises(InputError, match="first number 3"):
        classify_metrics(target, probs, weights, "NP", [0.5, 0.5])
