"""Pooled folds against scikit-learn on the concatenated predictions."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from configs import common
from cxr_jax.evaluation import cross_validation
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap
from cxr_jax.tasks import classify, make_task
from tfds_builders.common.errors import InputError


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99))
def test_levelling_keeps_order_and_calls(one, other, threshold):
    pair = np.array([[one], [other]])
    found = classify.at_half(pair, np.full((2, 1), threshold))[:, 0]
    assert (found[0] >= 0.5) == (one >= threshold)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    if one <= other:
        assert found[0] <= found[1] + 1e-12


def pooled(classes, n=90):
    g = generator(classes, "folds")
    target = np.r_[np.arange(classes), g.integers(0, classes, n - classes)]
    logits = g.normal(size=(n, classes)) + 1.5 * np.eye(classes)[target]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    fold = np.repeat([0, 1, 2], n // 3)
    decisions = [{"thresholds": [t] * classes} for t in (0.3, 0.5, 0.7)]
    config = common.get_config()
    names = tuple("abcd"[:classes])
    common.use_task(config, "classify", "cross_entropy", classes=names)
    told = make_task(config.task).probabilities
    weights = bootstrap.weights(np.arange(n), 20)
    found = told.pooled(target[:, None], probs[:, None], decisions, fold, weights)
    called = probs >= np.array([0.3, 0.5, 0.7])[fold][:, None]
    return target, probs, called, found


def test_two_classes_are_called_at_the_threshold_of_their_fold():
    target, probs, called, found = pooled(2)
    called = called[:, 1]
    expected = {
        "auroc": sk.roc_auc_score(target, probs[:, 1]),
        "auprc": sk.average_precision_score(target, probs[:, 1]),
        "accuracy": sk.accuracy_score(target, called),
        "sensitivity": sk.recall_score(target, called),
        "specificity": sk.recall_score(target, called, pos_label=0),
        "mcc": sk.matthews_corrcoef(target, called),
    }
    assert {n: found[n].value for n in expected} == pytest.approx(expected)


def test_more_classes_take_the_most_probable():
    target, probs, called, found = pooled(3)
    assert found["accuracy"].value == pytest.approx((probs.argmax(1) == target).mean())
    recall = called[target == 1, 1].mean()
    assert found["sensitivity_b"].value == pytest.approx(recall)
    assert found["auroc_macro"].value == pytest.approx(
        sk.roc_auc_score(target, probs, multi_class="ovr")
    )


@pytest.fixture
def five(finished_run, tiny_config, tmp_path):
    """A run of each fold."""
    made = []
    for fold in range(5):
        config = tiny_config.copy_and_resolve_references()
        with config.unlocked():
            config.data.fold = fold
        made.append(finished_run(tmp_path / f"fold={fold}", config, fold))
    return made


def test_every_image_is_evaluated_once(five, tmp_path, capsys):
    out = tmp_path / "pooled"
    assert cross_validation.pool([str(run) for run in five], out) == 0
    found = json.loads((out / "results.json").read_text())
    errors, patients = [], set()
    for run in five:
        with (run / "predictions/brixia-test.csv").open() as file:
            for row in csv.DictReader(file):
                patients.add(row["patient_id"])
                errors += [
                    abs(float(row[f"expected_{z}"]) - float(row[f"target_{z}"]))
                    for z in "ABCDEF"
                ]
    mae = found["metrics"]["test/mae_zone"]
    assert mae["value"] == pytest.approx(np.mean(errors), abs=1e-6)
    assert mae["n"] == len(errors) / 6 == found["sizes"]["test"]["images"]
    assert found["sizes"]["test"]["patients"] == len(patients)
    assert sorted(found["folds"].values()) == [0, 1, 2, 3, 4]
    assert "pooled over 5 folds" in capsys.readouterr().out


def test_runs_that_are_not_folds_of_one_cross_validation_are_refused(
    five, finished_run, tiny_config, tmp_path
):
    with tiny_config.unlocked():
        tiny_config.data.fold = 0
    again = finished_run(tmp_path / "again", tiny_config, 9)
    with pytest.raises(InputError, match="is of fold 0, as"):
        cross_validation.pool([str(five[0]), str(again)], tmp_path / "out")
    with tiny_config.unlocked():
        tiny_config.data.fold, tiny_config.optim.lr = 1, 0.5
    other = finished_run(tmp_path / "other", tiny_config, 9)
    with pytest.raises(InputError, match=r"optim.lr = 0.5 in .*other"):
        cross_validation.pool([str(five[0]), str(other)], tmp_path / "out")
    with tiny_config.unlocked():
        tiny_config.data.fold, tiny_config.optim.lr = -1, 1e-3
    none = finished_run(tmp_path / "none", tiny_config, 9)
    with pytest.raises(InputError, match="is not a fold"):
        cross_validation.pool([str(none), str(five[0])], tmp_path / "out")
