"""Runs on sets of others: copies left out, figures those of scikit-learn on the rest."""

import csv
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from configs import common
from cxr_jax import experiment
from cxr_jax.data import builders, roles
from cxr_jax.evaluation import evaluate
from cxr_jax.evaluation.external import matrix, summary
from cxr_jax.evaluation.external.cells import Cell
from cxr_jax.evaluation.external.sets import LeftOut
from cxr_jax.runs import checkpoint, predictions
from cxr_jax.stats import patients
from cxr_jax.stats.estimate import Estimate
from tfds_builders.build import build
from tfds_builders.common.errors import InputError


@pytest.fixture
def run(finished_run):
    """(workdir, config) -> the workdir of a finished run, with the model as drawn."""

    def make(workdir, config):
        finished_run(workdir, config)
        split = roles.open_splits(config.data, workdir).test
        exp = experiment.build(
            config, train_examples=split.size, image_dtype=roles.image_dtype(split)
        )
        best = json.loads((workdir / "results.json").read_text())["best"]
        best = {**best, "step": 0, "metric": "loss", "value": 1.0}
        store = checkpoint.open_store(workdir / "checkpoints")
        checkpoint.save(store, exp.init(), {"best": best})
        checkpoint.finish(store)
        return workdir

    return make


@pytest.fixture
def covidgr(tiny_config, covidgr_data):
    with tiny_config.unlocked():
        tiny_config.data.dataset = "covidgr/256"
        tiny_config.data.data_dir = str(covidgr_data)
        common.use_task(tiny_config, "classify", "cross_entropy", classes=("N", "P"))
        tiny_config.resamples = 200
    return tiny_config


@pytest.fixture
def folder_of(covidgr, covidgr_data, tmp_path):
    """{class: {name: altered?}} -> builds `image_folder/256` beside the phantom.

    The names are those of the phantom's images; what is altered is nearly the same.
    """
    release = covidgr_data.parent / "release" / "COVIDGR_1.0"
    data = tmp_path / "data"
    data.mkdir()
    (data / "covidgr").symlink_to(covidgr_data / "covidgr")
    with covidgr.unlocked():
        covidgr.data.data_dir = str(data)

    def make(tree):
        for label, names in tree.items():
            (tmp_path / "tree" / label).mkdir(parents=True)
            for name, is_altered in names.items():
                (path,) = release.rglob(f"{name}.jpg")
                pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
                if is_altered:
                    pixels = cv2.resize(pixels, None, fx=0.9, fy=0.9)
                target = tmp_path / "tree" / label / f"{name}.png"
                assert cv2.imwrite(str(target), pixels)
        build("image_folder/256", tmp_path / "tree", data, quiet=True)

    return make


def by_label(split) -> dict[str, list[str]]:
    ids, label = np.array(split.table["example_id"]), split.table["label"]
    return {name: ids[label == k].tolist() for k, name in enumerate("NP")}


def found(runs, out, eval_on=":test", config=None):
    assert matrix.matrix(config, [str(each) for each in runs], out, eval_on) == 0
    return json.loads((out / "matrix.json").read_text())


def rows(workdir, name):
    return list(csv.DictReader((workdir / "predictions" / f"{name}.csv").open()))


def test_two_runs_are_tested_on_each_other_without_copies(
    run, covidgr, folder_of, tmp_path, capsys
):
    splits = roles.open_splits(covidgr.data, tmp_path)
    train, val, test = (by_label(getattr(splits, role)) for role in roles.ROLES)
    folder_of(
        {
            name: {
                **dict.fromkeys(train[name][:5], False),
                **dict.fromkeys(val[name], True),
                **dict.fromkeys(test[name], False),
            }
            for name in "NP"
        }
    )
    one = run(tmp_path / "one", covidgr)
    other = covidgr.copy_and_resolve_references()
    with other.unlocked():
        other.data.dataset = "image_folder/256"
    other = run(tmp_path / "other", other.lock())
    content = found([one, other], tmp_path / "out", "image_folder/256:all")
    known = set(splits.test.table["example_id"])

    # Of the whole folder, what train has identically and val nearly is gone.
    cell = content["runs"][str(one)]["sets"]["image_folder/256:all"]
    left_out = {kind: len(ids) for kind, ids in cell["left_out"].items()}
    in_val = sum(map(len, val.values()))
    assert left_out == {"identical": 10, "near": in_val, "patient": 0}
    assert cell["size"]["images"] == cell["copies_in_own_test"] == len(known)
    gone = {name for names in cell["left_out"].values() for name in names}
    evaluate.evaluate(None, one, "image_folder/256:all")
    kept = [r for r in rows(one, "image_folder_256-all") if r["example_id"] not in gone]
    check_classes(cell, kept, one)

    # The same data, named by their folder.
    elsewhere = f"image_folder/256@{covidgr.data.data_dir}:all"
    again = found([one], tmp_path / "again", elsewhere)["runs"][str(one)]["sets"]
    assert again["image_folder/256:all"] == cell

    # The other way round: what the folder has in its train and val.
    name = "covidgr/256:test"
    cell = content["runs"][str(other)]["sets"][name]
    config = predictions.read(other).config
    splits = roles.open_splits(config.data, other)
    seen = {
        file.rpartition("/")[2].removesuffix(".png")
        for split in (splits.train, splits.val)
        for file in split.table["file"]
    }
    assert set(cell["left_out"]["identical"]) == known & seen
    assert cell["size"]["images"] == len(known - seen) > 0
    shown = capsys.readouterr().out
    assert "SYNTHETIC" in shown and name in shown
    assert max(map(len, shown.split("\nwritten:")[0].splitlines())) <= 88


def check_classes(cell, kept, workdir):
    target = np.array([row["target"] == "P" for row in kept])
    probs = np.array([float(row["prob_P"]) for row in kept])
    threshold = json.loads((workdir / "results.json").read_text())["best"]["decision"][
        "thresholds"
    ][1]
    expected = {
        "auroc": sk.roc_auc_score(target, probs),
        "auprc": sk.average_precision_score(target, probs),
        "sensitivity": (probs >= threshold)[target].mean(),
        "balanced_accuracy": sk.balanced_accuracy_score(target, probs >= threshold),
    }
    values = {name: cell["metrics"][name]["value"] for name in expected}
    assert values == pytest.approx(expected, abs=1e-6)
    assert cell["metrics"]["auroc"]["n"] == len(kept)


def test_the_own_test_set_is_as_evaluated_and_two_sets_are_drawn_apart(
    run, covidgr, folder_of, tmp_path, monkeypatch
):
    monkeypatch.setattr(patients, "LEAST", 2)  # the set is small
    splits = roles.open_splits(covidgr.data, tmp_path)
    test = by_label(splits.test)
    folder_of({name: dict.fromkeys(test[name], False) for name in "NP"})
    one = run(tmp_path / "one", covidgr)
    content = found([one], tmp_path / "out", "image_folder/256:all")
    cells = content["runs"][str(one)]["sets"]
    evaluate.evaluate(None, one, ":test")
    path = one / "evaluations" / "covidgr_256-test.json"
    evaluated = json.loads(path.read_text())["metrics"]
    own, same = cells["covidgr/256:test"], cells["image_folder/256:all"]
    for name in ("auroc", "sensitivity", "brier"):
        for part in ("value", "lo", "hi"):
            assert own["metrics"][name][part] == evaluated[f"test/{name}"][part]
    # The same images under other names: nothing is lost, but the draws are others.
    assert same["metrics"]["auroc"]["value"] == own["metrics"]["auroc"]["value"]
    drop = same["worse_than_own"]["auroc"]
    assert drop["value"] == 0 and drop["lo"] < 0 < drop["hi"]
    single = own["metrics"]["auroc"]
    ratio = (drop["hi"] - drop["lo"]) / (single["hi"] - single["lo"])
    assert ratio == pytest.approx(2**0.5, rel=0.25)  # of independent draws


def test_where_nothing_or_one_class_is_left_there_is_a_reason(
    run, covidgr, folder_of, tmp_path, capsys
):
    splits = roles.open_splits(covidgr.data, tmp_path)
    train, test = by_label(splits.train), by_label(splits.test)
    folder_of({"N": dict.fromkeys(test["N"], 0), "P": dict.fromkeys(train["P"], 0)})
    one = run(tmp_path / "one", covidgr)
    content = found([one], tmp_path / "out", "image_folder/256:all,covidgr:train")
    cells = content["runs"][str(one)]["sets"]
    left = cells["image_folder/256:all"]
    assert left["metrics"]["auroc"]["value"] is None
    reason = f"none of the {len(test['N'])} images is P"
    assert left["metrics"]["auroc"]["reason"] == reason
    assert left["metrics"]["specificity"]["value"] is not None
    nothing = cells["covidgr/256:train"]
    assert nothing["size"] == {"images": 0} and nothing["worse_than_own"] == {}
    assert "no image is left" in nothing["metrics"]["auroc"]["reason"]
    assert len(nothing["left_out"]["identical"]) == splits.train.size
    shown = " ".join(capsys.readouterr().out.split())
    assert reason in shown


@pytest.fixture
def with_sources(monkeypatch):
    """Every table has a source: of one image in nine it is a journal."""
    load = builders.load

    def loaded(*arguments):
        split = load(*arguments)
        names = ["journal" if k % 9 == 0 else "clinic" for k in range(split.size)]
        return split._replace(table={**split.table, "source": names})

    monkeypatch.setattr(builders, "load", loaded)


def test_patients_of_the_same_dataset_are_left_out(
    run, tiny_config, tmp_path, with_sources
):
    with tiny_config.unlocked():
        tiny_config.data.train, tiny_config.resamples = "train[:30%]", 200
    one = run(tmp_path / "one", tiny_config)
    name = "train[30%:]"
    content = found([one], tmp_path / "out", f"brixia:{name}")
    cell = content["runs"][str(one)]["sets"][f"brixia/256:{name}"]
    with tiny_config.unlocked():
        tiny_config.data.test = name
    splits = roles.open_splits(tiny_config.data, tmp_path)
    seen = {*splits.train.table["patient_id"], *splits.val.table["patient_id"]}
    table = splits.test.table
    names = zip(table["example_id"], table["patient_id"], strict=True)
    known = {image for image, patient in names if patient in seen}
    assert 0 < len(known) < splits.test.size
    assert set(cell["left_out"]["patient"]) == known
    evaluate.evaluate(None, one, f"brixia/256:{name}")
    file = next((one / "predictions").glob("brixia_256-train*.csv"))
    check_scores(
        cell, [r for r in rows(one, file.stem) if r["example_id"] not in known]
    )


def check_scores(cell, kept):
    target, expected = (
        np.array([[float(row[f"{what}_{z}"]) for z in "ABCDEF"] for row in kept])
        for what in ("target", "expected")
    )
    r = stats.pearsonr(target.sum(1), expected.sum(1)).statistic
    assert cell["metrics"]["pearson_global"]["value"] == pytest.approx(r, abs=1e-5)
    mae = sk.mean_absolute_error(target, expected)
    assert cell["metrics"]["mae_zone"]["value"] == pytest.approx(mae, abs=1e-6)


def test_labels_are_merged_and_those_of_the_run_win(run, covidgr, tmp_path):
    one = covidgr.copy_and_resolve_references()
    other = covidgr.copy_and_resolve_references()
    for config, dataset, merge in (
        (one, "covidgr/256", "N=no,P=yes"),
        (other, "image_folder/256", "N=yes,X=yes"),
    ):
        with config.unlocked():
            config.task.settings.classes, config.task.settings.merge = (
                ("no", "yes"),
                merge,
            )
            config.data.dataset = dataset
    runs = [predictions.Run(tmp_path, config, {}, {}) for config in (one, other)]
    split = roles.open_splits(one.data, tmp_path).test
    label = split.table["label"]

    def targets(dataset, names, merge=""):
        task = matrix.task_for(runs[0], dataset, runs, merge)
        return task.targets(split._replace(label_names={"label": names}))["label"]

    np.testing.assert_array_equal(targets("image_folder", ("N", "P")), label)
    np.testing.assert_array_equal(targets("image_folder", ("N", "X")), label)
    np.testing.assert_array_equal(targets("brixia", ("N", "Y"), "Y=yes"), label)
    with pytest.raises(InputError, match=r"labels \['X'\][\s\S]*merge=X"):
        targets("covidgr", ("N", "X"))


def test_runs_that_cannot_stand_in_one_table_are_refused(
    finished_run, covidgr, tmp_path
):
    one = finished_run(tmp_path / "one", covidgr)
    with covidgr.unlocked():
        covidgr.task.settings.classes, covidgr.task.settings.merge = (
            ("no", "yes"),
            "N=no,P=yes",
        )
    other = finished_run(tmp_path / "other", covidgr)
    with pytest.raises(InputError, match=r"classes = \('no', 'yes'\) in"):
        found([one, other], tmp_path / "out")
    with pytest.raises(InputError, match="'brixia_public'"):
        found([one], tmp_path / "out", "brixia_public:test")
    with pytest.raises(InputError, match="give one or more, each once"):
        found([one, one], tmp_path / "out")


def cell_of(here, drop=None):
    out = LeftOut(*[np.zeros(here.n, bool)] * 3)
    drops = {"auroc": drop} if drop else {}
    return Cell(out, None, {}, {"auroc": here}, drops, 0, [], 0.5)


def test_where_nothing_is_lost_beyond_chance():
    own = cell_of(Estimate(0.95, 0.9, 0.98, 90))
    guess = cell_of(Estimate(0.52, 0.4, 0.6, 40), Estimate(0.43, 0.3, 0.55, 130))
    weak = cell_of(Estimate(0.52, 0.4, 0.6, 40), Estimate(0.1, -0.3, 0.55, 130))
    alike = cell_of(Estimate(0.92, 0.8, 0.99, 40), Estimate(0.03, -0.06, 0.12, 130))
    cells = {"a:test": own, "b:test": guess, "c:test": alike, "d:test": weak}
    assert summary.held("auroc", "a:test", cells) == ["c:test"]
    line = summary.verdicts("auroc", {"runs/a": "a:test"}, {"runs/a": cells})["runs/a"]
    for part in ("0.950 (0.900 to 0.980)", "+0.300 to +0.550", "c:test"):
        assert part in line
    alone = {"runs/a": {"a:test": own}}
    assert (
        "--eval_on" in summary.verdicts("auroc", {"runs/a": "a:test"}, alone)["runs/a"]
    )


def test_the_command(run, covidgr, tmp_path, environment):
    one, out = run(tmp_path / "one", covidgr), tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "cxr_jax.main", "--mode=matrix", f"--runs={one}",
         f"--workdir={out}", "--eval_on=covidgr:val"],
        check=False, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "In words" in done.stdout and "matrix.json" in done.stdout
    content = json.loads((out / "matrix.json").read_text())
    assert list(content["sets"]) == ["covidgr/256:test", "covidgr/256:val"]
