"""Figures of an arm against scikit-learn and against `launch.collect`'s answer."""

import csv
import json

import numpy as np
import pytest
from finished import finish
from sklearn import metrics as sk

from cxr_jax.runs import own_digest
from cxr_jax.stats.estimate import Estimate
from launch import judged, workdirs
from launch.answer import answer
from launch.results import measured
from tfds_builders.common.errors import InputError

SETTLED = {"thresholds": [0.5, 0.5], "confidence": {"temperature": 1.0, "least": 0.1}}


@pytest.fixture
def arm(tmp_path):
    """Three seeds of a classifier, tested on 60 films and, elsewhere, on 40 others."""
    for seed in range(3):
        place = tmp_path / "arm" / f"seed={seed}"
        finish(place, {"seed": seed}, task="classify", decision=SETTLED)
        other = tmp_path / f"other{seed}"
        finish(other, {"seed": seed}, task="classify", first=100, films=40, noise=3.0)
        (other / "predictions" / "brixia-test.csv").rename(
            place / "predictions" / "elsewhere.csv"
        )
    return tmp_path / "arm"


def areas(arm, name, left_out=()):
    found = []
    for path in sorted(arm.glob(f"seed=*/predictions/{name}")):
        with path.open() as file:
            rows = [r for r in csv.DictReader(file) if r["example_id"] not in left_out]
        truth = [row["target"] == "P" for row in rows]
        found.append(sk.roc_auc_score(truth, [float(row["prob_P"]) for row in rows]))
    return found


def test_the_figure_is_the_mean_over_seeds(arm):
    found = measured.figures(arm)
    expected = areas(arm, "brixia-test.csv")
    np.testing.assert_allclose(found.by_seed["auroc"], expected, rtol=1e-6)
    assert found.estimates["auroc"].value == pytest.approx(np.mean(expected))
    assert (found.images, found.patients, found.unit) == (60, 30, "patients")


def test_films_of_which_each_stands_for_a_patient_are_their_own_unit(arm):
    for path in arm.glob("seed=*/results.json"):
        content = json.loads(path.read_text())
        del content["digest"]
        content["sizes"]["test"] = {"images": 60}
        path.write_text(json.dumps(own_digest.seal(content)))
    assert measured.figures(arm).unit == "images"


def test_the_interval_is_that_of_collect(arm):
    settings = judged.settings(workdirs.read(arm)[0])
    (row,) = answer(settings, ["auroc"], "").rows
    assert measured.figures(arm).estimates["auroc"] == row.figures["auroc"].estimate


def test_elsewhere_is_without_what_was_left_out(arm):
    left_out = frozenset({"film100", "film101", "film107"})
    found = measured.external(arm, "elsewhere", "elsewhere.csv", left_out)
    expected = areas(arm, "elsewhere.csv", left_out)
    assert found.estimates["auroc"].value == pytest.approx(np.mean(expected))
    inside = np.mean(areas(arm, "brixia-test.csv"))
    drop = found.drops["auroc"]
    assert drop.value == pytest.approx(inside - np.mean(expected))
    assert drop.lo < drop.value < drop.hi
    assert (found.images, found.patients, found.copies) == (37, 19, 3)


def test_runs_that_are_not_finished_are_left_out(arm):
    (arm / "seed=1" / "results.json").unlink()
    assert len(measured.figures(arm).by_seed["auroc"]) == 2
    for seed in (0, 2):
        (arm / f"seed={seed}" / "results.json").unlink()
    with pytest.raises(InputError, match="no run is finished"):
        measured.figures(arm)


@pytest.mark.parametrize(
    "metric, low, high",
    [
        ("auroc", 0, 1),
        ("mae_zone", 0, 9),
        ("kappa_zone", -1, 1),
        ("bias_global", -9, 9),
    ],
)
def test_an_interval_ends_where_a_value_must(metric, low, high):
    found = measured._bounded(metric, Estimate(0.5, -9.0, 9.0, 3))
    assert (found.lo, found.hi) == (low, high)
