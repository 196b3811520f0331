"""Pooled folds against scikit-learn on the concatenated predictions."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from cxr_jax.evaluation import cross_validation
from cxr_jax.rng import generator
from tfds_builders.common.errors import InputError

SETTINGS = {"resamples": 20, "seed": 0}


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99))
def test_levelling_keeps_order_and_calls(one, other, threshold):
    pair = np.array([[one], [other]])
    found = cross_validation.at_half(pair, np.full((2, 1), threshold))[:, 0]
    assert (found[0] >= 0.5) == (one >= threshold)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    if one <= other:
        assert found[0] <= found[1] + 1e-12


def pooled(classes, n=90):
    g = generator(classes, "folds")
    target = np.r_[np.arange(classes), g.integers(0, classes, n - classes)]
    logits = g.normal(size=(n, classes)) + 1.5 * np.eye(classes)[target]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    thresholds = np.repeat([[0.3], [0.5], [0.7]], n // 3, axis=0)
    return target, probs, np.repeat(thresholds, classes, axis=1), np.arange(n)


def test_two_classes_are_called_at_the_threshold_of_their_fold():
    target, probs, thresholds, patients = pooled(2)
    found = cross_validation.of_classes(
        target, probs, thresholds, patients, "NP", SETTINGS
    )
    called = probs[:, 1] >= thresholds[:, 1]
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
    target, probs, thresholds, patients = pooled(3)
    found = cross_validation.of_classes(
        target, probs, thresholds, patients, "abc", SETTINGS
    )
    assert found["accuracy"].value == pytest.approx((probs.argmax(1) == target).mean())
    called = probs[:, 1] >= thresholds[:, 1]
    assert found["sensitivity_b"].value == pytest.approx(called[target == 1].mean())
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


def test_all_images_are_judged_once(five, tmp_path, capsys):
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


def test_what_is_no_cross_validation_is_refused(
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
    with pytest.raises(InputError, match="in more than the fold"):
        cross_validation.pool([str(five[0]), str(other)], tmp_path / "out")
    with tiny_config.unlocked():
        tiny_config.data.fold = -1
    none = finished_run(tmp_path / "none", tiny_config, 9)
    with pytest.raises(InputError, match="is no fold"):
        cross_validation.pool([str(none), str(five[0])], tmp_path / "out")
