"""Metrics and limits of agreement by group, against the rows of the group alone."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from cxr_jax import metrics
from cxr_jax.evaluation import subgroups
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap, weighted

RESAMPLES = 60


@pytest.fixture
def table():
    """120 images of 60 patients, of two vendors and a rare one; age is not of all."""
    g = generator(0, "table")
    age = g.uniform(20, 90, 120)
    age[90:] = np.nan
    return {
        "example_id": [f"e{k}" for k in range(120)],
        "patient_id": [f"p{k // 2}" for k in range(120)],
        "vendor": ["A"] * 50 + ["B"] * 62 + ["C"] * 8,
        "age": age,
    }


def grouped_scores(table, worse=0.0):
    """Scores of readers and model, with `worse` more noise for vendor A."""
    g = generator(1, "scores")
    labels = g.integers(0, 4, (120, 6))
    noise = 1 + worse * (np.array(table["vendor"]) == "A")
    odds = -np.abs(labels[..., None] - np.arange(4)) + noise[:, None, None] * g.normal(
        size=(120, 6, 4)
    )
    probs = np.exp(odds) / np.exp(odds).sum(axis=-1, keepdims=True)
    return labels, probs


def of_scores(table, labels, probs, headlines=("mae_global", "pearson_global")):
    counts = bootstrap.weights(table["patient_id"], RESAMPLES, 3)

    def make(members):
        return metrics.brixia_statistics(labels[members], probs[members])

    return subgroups.of_metrics(table, {}, make, counts, headlines), counts


def test_scores_of_a_group_match_its_rows(table):
    labels, probs = grouped_scores(table)
    rows, _ = of_scores(table, labels, probs)
    by_name = {(row.attribute, row.name): row for row in rows}
    assert ("vendor", "C") not in by_name  # too few
    row = by_name["vendor", "B"]
    own = np.array(table["vendor"]) == "B"
    labels, expected = labels[own], probs[own] @ np.arange(4)
    total, predicted = labels.sum(axis=1), expected.sum(axis=1)
    level = np.floor(expected + 0.5).astype(int)
    assert (row.images, row.patients) == (62, 31)
    values = {metric: estimate.value for metric, estimate in row.figures.items()}
    assert values.pop("icc_global") < values["pearson_global"] + 0.05
    assert values == pytest.approx(
        {
            "mae_zone": sk.mean_absolute_error(labels.ravel(), expected.ravel()),
            "mae_global": sk.mean_absolute_error(total, predicted),
            "pearson_global": stats.pearsonr(total, predicted).statistic,
            "kappa_zone": sk.cohen_kappa_score(
                labels.ravel(), level.ravel(), weights="quadratic"
            ),
            "rps_zone": np.mean(
                (probs[own].cumsum(-1) - (labels[..., None] <= np.arange(4))) ** 2
            )
            * 4,
        }
    )
    assert row.figures["mae_zone"].lo < values["mae_zone"] < row.figures["mae_zone"].hi


def test_classes_of_a_group_match_its_rows(table):
    g = generator(2, "classes")
    labels = g.integers(0, 2, (120, 1))
    score = 1 / (1 + np.exp(-(labels[:, 0] - 0.5 + g.normal(size=120))))
    probs = np.stack([1 - score, score], axis=1)[:, None]
    counts = bootstrap.weights(table["patient_id"], RESAMPLES, 3)
    decision = {"thresholds": [0.5, 0.4]}

    def make(members):
        thresholds = np.array(decision["thresholds"])
        own = probs[members, 0]
        called = metrics.decide(own, thresholds)
        return metrics.class_statistics(labels[members, 0], own, called)

    rows = subgroups.of_metrics(table, {}, make, counts, ("auroc",))
    (row,) = [row for row in rows if row.name == "known"]
    assert row.attribute == "age missing" and row.images == 90
    own = slice(0, 90)
    target, score = labels[own, 0], score[own]
    called = score >= 0.4
    values = {metric: estimate.value for metric, estimate in row.figures.items()}
    assert values == pytest.approx(
        {
            "auroc": sk.roc_auc_score(target, score),
            "auprc": sk.average_precision_score(target, score),
            "sensitivity": sk.recall_score(target, called),
            "specificity": sk.recall_score(target, called, pos_label=0),
            "balanced_accuracy": sk.balanced_accuracy_score(target, called),
            "macro_f1": sk.f1_score(target, called, average="macro"),
            "brier": sk.brier_score_loss(target, score),
        }
    )
    others = sk.roc_auc_score(labels[90:, 0], probs[90:, 0, 1])
    assert row.gaps["auroc"].value == pytest.approx(others - values["auroc"])


def test_intervals_match_weights_that_leave_the_others_out(table):
    """Columns of a group alone, against the whole with the weight 0 for all others."""
    labels, probs = grouped_scores(table)
    rows, counts = of_scores(table, labels, probs)
    (row,) = [row for row in rows if row.name == "A"]
    own = np.array(table["vendor"]) == "A"
    error = np.abs((probs @ np.arange(4)).sum(axis=1) - labels.sum(axis=1))
    inside, outside = (weighted.mean(error, counts * part) for part in (own, ~own))
    for found, values in (
        (row.figures["mae_global"], inside),
        (row.gaps["mae_global"], inside - outside),  # above 0 is worse
    ):
        assert found[:3] == pytest.approx(
            (values[0], *np.quantile(values[1:], (0.025, 0.975)))
        )


def test_a_planted_bad_group_is_the_worst(table):
    labels, probs = grouped_scores(table, worse=4.0)
    rows, _ = of_scores(table, labels, probs)
    for metric in ("mae_global", "pearson_global"):
        found = {one.attribute: one for one in subgroups.worst(rows, metric)}
        vendor = found["vendor"]
        assert (vendor.worst.name, vendor.best.name) == ("A", "B")
        assert vendor.gap == vendor.worst.gaps[metric] and vendor.gap.lo > 0
        assert set(found) == {"vendor", "age", "age missing"}
    with pytest.raises(KeyError, match="kappa_zone"):
        subgroups.worst(rows, "kappa_zone")
    rows, _ = of_scores(table, labels, probs, headlines=("kappa_zone",))
    (vendor,) = [
        one for one in subgroups.worst(rows, "kappa_zone") if one.attribute == "vendor"
    ]
    assert vendor.worst.name == "A" and vendor.gap.lo > 0


def test_without_other_images_there_is_a_value_but_no_gap(table):
    table = {**table, "vendor": ["A"] * 110 + ["B"] * 10}
    labels, probs = grouped_scores(table)
    rows, _ = of_scores(table, labels, probs)
    (row,) = [row for row in rows if row.attribute == "vendor"]
    assert row.name == "A" and np.isfinite(row.figures["mae_global"].value)
    gap = row.gaps["mae_global"]
    assert np.isnan(gap.value) and gap.reason == subgroups.FEW_OTHERS
    assert "vendor" not in [
        one.attribute for one in subgroups.worst(rows, "mae_global")
    ]


def test_limits_of_a_group_match_bland_and_altman(table):
    labels, probs = grouped_scores(table)
    expected = probs @ np.arange(4)
    counts = bootstrap.weights(table["patient_id"], RESAMPLES, 3)
    found = subgroups.limits(table, {}, labels, expected, counts)
    rows, _ = of_scores(table, labels, probs)
    assert [one[:4] for one in found] == [row[:4] for row in rows]
    (of_a,) = [one for one in found if one.name == "A"]
    own = np.array(table["vendor"]) == "A"
    error = (expected - labels)[own].sum(axis=1)
    sd = error.std(ddof=1)
    assert of_a.bias.value == pytest.approx(error.mean())
    assert of_a.sd.value == pytest.approx(sd)
    assert of_a.low.value == pytest.approx(error.mean() - 1.96 * sd)
    assert of_a.high.value == pytest.approx(error.mean() + 1.96 * sd)
    # Each resample by itself, its images written out as often as they were drawn.
    drawn = [np.repeat(error, row) for row in counts[1:, own]]
    high = [one.mean() + 1.96 * one.std(ddof=1) for one in drawn]
    assert of_a.high[1:3] == pytest.approx(tuple(np.quantile(high, (0.025, 0.975))))
