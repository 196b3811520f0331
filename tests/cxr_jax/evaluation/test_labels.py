"""Which classes are never trained, and how far apart their shares lie."""

import numpy as np
import pytest

from cxr_jax import experiment
from cxr_jax.data import roles
from cxr_jax.evaluation import labels
from cxr_jax.train import validation
from tests.cxr_jax.tasks.test_tasks import classify, make


def test_counts_of_classes_and_of_the_scores_of_zones():
    assert labels.count(classify(), {"label": np.array([0, 1, 1])}) == {
        "no": 1,
        "yes": 2,
    }
    scores = np.zeros((5, 6), int)
    scores[0, 0] = 3
    assert labels.count(make(), {"scores": scores}) == {"0": 29, "1": 0, "2": 0, "3": 1}
    assert labels.count(make("segment", "dice_bce"), {}) == {}


def test_what_is_never_trained_and_what_lies_apart():
    counts = {
        "train": {"a": 9, "b": 0},
        "val": {"a": 2, "b": 8},
        "test": {"a": 5, "b": 5},
    }
    assert labels.untrained(counts) == ["b"]
    name, shares = labels.largest_gap(counts)
    assert name == "a"
    assert shares == pytest.approx({"train": 1.0, "val": 0.2, "test": 0.5})
    assert labels.largest_gap({"train": {}, "val": {}}) == ("", {})


def test_a_training_warns_of_a_class_that_it_has_no_image_of(
    tiny_config, tmp_path, capsys
):
    splits = roles.open_splits(tiny_config.data, tmp_path)
    exp = experiment.build(tiny_config, train_examples=splits.train.size)
    validation.check_labels(exp, splits)
    assert "WARNING" not in capsys.readouterr().out
    table = {**splits.train.table}
    table["scores"] = np.minimum(table["scores"], 2)
    found = splits._replace(train=splits.train._replace(table=table))
    validation.check_labels(exp, found)
    said = capsys.readouterr().out
    assert "no image of train is of class 3" in said
