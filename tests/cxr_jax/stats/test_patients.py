"""How many patients a figure rests on: counted, withheld, exact."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from cxr_jax.metrics import (
    classes_agreement,
    classify_metrics,
    confidence_metrics,
    fit_confidence,
    operating_metrics,
)
from cxr_jax.metrics.brixia import brixia_metrics
from cxr_jax.metrics.classification import class_statistics
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap, patients, weighted
from cxr_jax.stats.patients import Rests


def test_patients_are_told_apart_by_how_often_they_are_drawn():
    ids = np.repeat(np.arange(300), 3)
    counts = bootstrap.weights(ids, 100)
    np.testing.assert_array_equal(
        np.unique(patients.of_columns(counts)[::3], return_counts=True)[1], 1
    )
    members = ids < 7
    assert patients.number(counts) == 300
    assert patients.number(counts, members) == 7
    assert patients.fewest(counts, (members, ~members)) == 7
    # A group that does not occur is not one with too few.
    assert patients.fewest(counts, (members, members & ~members)) == 7


@pytest.mark.parametrize(
    ("hits", "of", "lo", "hi"),
    [(18, 18, 0.815, 1), (0, 18, 0, 0.185), (3, 3, 0.292, 1), (5, 10, 0.187, 0.813)],
)
def test_exact_intervals(hits, of, lo, hi):
    found = patients.exact(hits, of)
    assert found == pytest.approx((lo, hi), abs=5e-4)
    # By the definition of Clopper and Pearson.
    if hits:
        assert stats.binom.sf(hits - 1, of, found[0]) == pytest.approx(0.025)
    if hits < of:
        assert stats.binom.cdf(hits, of, found[1]) == pytest.approx(0.025)


def test_a_share_of_one_has_the_interval_of_its_patients():
    """18 positive patients with 36 images, all found: 0.815 to 1, n 36."""
    ids = np.repeat(np.arange(40), 2)
    positive = ids < 18
    counts = bootstrap.weights(ids, 200)
    found = bootstrap.share(np.ones(80, bool), positive, counts)
    assert tuple(found[:4]) == pytest.approx((1, 0.8147, 1, 36), abs=1e-4)
    none = bootstrap.share(np.zeros(80, bool), positive, counts)
    assert tuple(none[:4]) == pytest.approx((0, 0, 0.1853, 36), abs=1e-4)
    assert bootstrap.mean(np.ones((80, 6), bool), counts).lo == pytest.approx(
        patients.exact(40, 40)[0]
    )


def binary(positives, n=60, seed=0, shift=1.0):
    g = generator(seed, "few")
    target = (np.arange(n) < positives).astype(int)
    score = 1 / (1 + np.exp(-(g.normal(size=n) + shift * target)))
    return target, np.stack([1 - score, score], axis=1)


def all_of(target, probs, counts):
    classes = probs.shape[1]
    called = probs.argmax(axis=1)
    found = classify_metrics(target, probs, counts, "ABCD"[:classes], [0.5] * classes)
    found |= classes_agreement(target, called, classes, counts)
    fitted = fit_confidence(target, probs, range(len(target)))
    found |= confidence_metrics(target, probs, counts, fitted)
    if classes == 2:
        found |= operating_metrics(target == 1, called == 1, counts)
    return found


OF_CLASSES = {
    "auroc", "auprc", "macro_f1", "balanced_accuracy", "macro_recall", "kappa", "mcc",
    "macro_precision", "lr_positive", "lr_negative", "calibration_slope",
    "calibration_intercept", "sensitivity",
}  # fmt: skip


def test_below_five_patients_of_a_class_its_intervals_are_withheld():
    target, probs = binary(4, seed=5)
    found = all_of(target, probs, bootstrap.weights(np.arange(60), 100))
    for name in OF_CLASSES:
        assert found[name].is_defined and not found[name].has_interval, name
        assert "only 4 patients" in found[name].reason, name
    for name in ("accuracy", "brier", "micro_f1", "coverage_90", "specificity"):
        assert found[name].has_interval, name
    enough = all_of(*binary(5, seed=5), bootstrap.weights(np.arange(60), 400))
    for name in OF_CLASSES:
        assert enough[name].has_interval, name


def test_it_is_patients_that_count_and_not_their_images():
    target, probs = binary(12)
    ids = np.r_[np.repeat(np.arange(4), 3), np.arange(4, 52)]
    found = all_of(target, probs, bootstrap.weights(ids, 100))
    assert "only 4 patients" in found["auroc"].reason


def test_the_mean_over_classes_needs_all_of_them():
    g = generator(1, "classes")
    target = np.r_[np.zeros(30, int), np.ones(30, int), [2, 2, 2]]
    probs = g.dirichlet(np.ones(3), 63)
    counts = bootstrap.weights(np.arange(63), 100)
    found = all_of(target, probs, counts)
    for name in ("auroc_macro", "auroc_C", "auprc_C", "macro_f1", "balanced_accuracy"):
        assert "only 3 patients" in found[name].reason, name
    assert found["auroc_A"].has_interval
    statistics = class_statistics(target, probs, probs.argmax(axis=1))
    for name in ("auroc_macro", "balanced_accuracy", "macro_f1"):
        values = bootstrap.replicates(statistics[name], counts)
        assert np.isfinite(values[0]) and np.isnan(values[1:]).all(), name
        gap = bootstrap.summary(values - 0.1, 63, undefined="")
        assert gap.is_defined and "fewer than 5 patients" in gap.reason


def test_scores_of_four_patients_have_no_interval():
    g = generator(0, "scores")
    scores = g.integers(0, 4, (24, 6))
    probs = g.dirichlet(np.ones(4), (24, 6))
    counts = bootstrap.weights(np.repeat(np.arange(4), 6), 100)
    found = brixia_metrics(scores, probs @ np.arange(4.0), probs, counts)
    assert not any(estimate.has_interval for estimate in found.values())
    right = brixia_metrics(scores, scores.astype(float), probs, counts)
    assert right["exact_zone"].lo == pytest.approx(patients.exact(4, 4)[0])


def test_why_five_coverage_of_an_area_with_few_positives():
    """Two normals one deviation apart: with 2 positives 0.95 is missed by far."""
    true = stats.norm.cdf(1 / np.sqrt(2))
    g, held = generator(0, "coverage of few"), {2: 0, 10: 0}
    for positives in held:
        positive = np.arange(60) < positives
        counts = bootstrap.weights(np.arange(60), 200)
        for _ in range(150):
            scores = g.normal(size=60) + positive
            area = partial(weighted.auroc, positive, scores)
            found = bootstrap.summary(bootstrap.per_row(area, counts), 60, undefined="")
            held[positives] += found.lo <= true <= found.hi
            withheld = bootstrap.estimate(
                Rests(area, (positive, ~positive)), counts, undefined=""
            )
            assert withheld.has_interval == (positives >= patients.LEAST)
    assert held[2] / 150 < 0.75
    assert held[10] / 150 > 0.88
