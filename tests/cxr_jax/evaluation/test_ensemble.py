"""Averages of runs against numpy and scikit-learn on the files that the runs left."""

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import scipy.special
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score

from configs import common
from cxr_jax import config as config_lib
from cxr_jax.evaluation import ensemble, settling
from cxr_jax.runs import digest, predictions
from cxr_jax.tasks import make_task
from cxr_jax.train import loop
from tfds_builders.common.errors import InputError


@pytest.fixture
def classify_config(tiny_config, covidgr_data):
    with tiny_config.unlocked():
        tiny_config.data.dataset = "covidgr/256"
        tiny_config.data.data_dir = str(covidgr_data)
        common.use_task(tiny_config, "classify", "cross_entropy", classes=("N", "P"))
    return tiny_config


@pytest.fixture(autouse=True)
def small_val(monkeypatch):
    """The val splits of these tests are parted too, though they are small."""
    monkeypatch.setattr(settling, "LEAST", 4)


def settles(run, scores):
    """Which rows of val settle."""
    task = make_task(json_config(run).task)
    ids = [row["patient_id"] for row in rows(run, "brixia-val")]
    return settling.parts(task, ids, {"scores": scores}).settling


def json_config(run):
    return config_lib.from_json(run / "config.json")


@pytest.fixture
def two(finished_run, tiny_config, tmp_path):
    return [
        finished_run(tmp_path / name, tiny_config, i) for i, name in enumerate("ab")
    ]


def combine(runs, workdir, **changes):
    assert ensemble.combine(None, [str(run) for run in runs], workdir, **changes) == 0
    return json.loads((workdir / "results.json").read_text())


def rows(run, name):
    return list(csv.DictReader((run / "predictions" / f"{name}.csv").open()))


def zones(run, role):
    """-> (scores [N, 6], probabilities [N, 6, 4]) of a predictions file."""
    found = rows(run, f"brixia-{role}")
    scores = [[row[f"target_{z}"] for z in "ABCDEF"] for row in found]
    probs = [[row[f"prob_{z}{k}"] for z in "ABCDEF" for k in range(4)] for row in found]
    return np.array(scores, int), np.array(probs, float).reshape(-1, 6, 4)


def test_the_average_is_that_of_the_files(two, tmp_path):
    found = combine(two, tmp_path / "ensemble")
    for role in ("val", "test"):
        (scores, one), (_, other) = (zones(run, role) for run in two)
        mean = (one + other) / 2
        metrics = found["average"]["metrics"]
        error = mean_absolute_error(scores, mean @ np.arange(4))
        assert metrics[f"{role}/mae_zone"]["value"] == pytest.approx(error, abs=1e-6)
        loss = log_loss(scores.ravel(), mean.reshape(-1, 4), labels=range(4))
        assert metrics[f"{role}/log_loss"]["value"] == pytest.approx(loss, rel=1e-6)
        assert metrics[f"{role}/mae_zone"]["n"] == len(scores)


def test_the_ensemble_is_the_mean_of_tempered_members(two, tmp_path):
    found = combine(two, tmp_path / "ensemble")
    scores, _ = zones(two[0], "test")
    temperatures = [member["temperature"] for member in found["members"].values()]
    # They were drawn twice as sure as the labels allow, so both are softened.
    assert min(temperatures) > 1.2
    parts = [
        scipy.special.softmax(np.log(zones(run, "test")[1]) / temperature, axis=-1)
        for run, temperature in zip(two, temperatures, strict=True)
    ]
    _, written = zones(tmp_path / "ensemble", "test")
    np.testing.assert_allclose(written, np.mean(parts, axis=0), atol=1e-6)
    metrics = found["metrics"]
    error = mean_absolute_error(scores, written @ np.arange(4))
    assert metrics["test/mae_zone"]["value"] == pytest.approx(error, abs=1e-6)
    assert metrics["test/mae_zone"]["lo"] < error < metrics["test/mae_zone"]["hi"]


def test_one_temperature_for_the_average_is_the_best_one_on_val(two, tmp_path):
    found = combine(two, tmp_path / "ensemble")["average tempered last"]
    (scores, one), (_, other) = (zones(run, "val") for run in two)
    own = settles(two[0], scores)
    assert 0 < len(own) < len(scores)
    every = np.log((one + other) / 2)

    def loss(temperature, rows=own):
        logits = every[rows].reshape(-1, 4)
        probs = scipy.special.softmax(logits / temperature, axis=1)
        return log_loss(scores[rows].ravel(), probs, labels=range(4))

    best = loss(found["temperature"])
    shown = found["metrics"]["val/log_loss"]["value"]
    assert shown == pytest.approx(loss(found["temperature"], slice(None)), rel=1e-6)
    assert best < min(loss(found["temperature"] * factor) for factor in (0.98, 1.02))


def test_members_keep_the_figures_of_their_runs(tiny_config, tmp_path, keep_signals):
    """Of two real trainings: what the models gave, from their files alone."""
    assert loop.train(tiny_config, tmp_path / "runs", members="2") == 0
    found = combine([tmp_path / "runs"], tmp_path / "ensemble")
    assert len(found["members"]) == 2
    for seed, (path, member) in enumerate(found["members"].items()):
        own = json.loads((pathlib.Path(path) / "results.json").read_text())["metrics"]
        for name, estimate in own.items():
            expected = pytest.approx(estimate["value"], abs=1e-5)
            assert member["metrics"][name]["value"] == expected, name
            if seed == 0:  # all are resampled as the first, to be compared
                expected = pytest.approx(estimate, abs=1e-5)
                assert member["metrics"][name] == expected, name
    constant = found["metrics"]["test/mae_zone_constant"]["value"]
    assert constant == own["test/mae_zone_constant"]["value"]
    assert set(found["shared_patients"].values()) == {0}


@pytest.mark.parametrize("sigmoid", [False, True])
def test_two_classes(finished_run, classify_config, tmp_path, sigmoid, capsys):
    with classify_config.unlocked():
        classify_config.task.settings.sigmoid = sigmoid
    two = [
        finished_run(tmp_path / name, classify_config, i) for i, name in enumerate("ab")
    ]
    found = combine(two, tmp_path / "ensemble")
    files = [rows(run, "covidgr-test") for run in two]
    mean = np.mean([[float(row["prob_P"]) for row in file] for file in files], axis=0)
    label = [row["target"] == "P" for row in files[0]]
    metrics = found["average"]["metrics"]
    assert metrics["test/auroc"]["value"] == pytest.approx(roc_auc_score(label, mean))
    loss = log_loss(label, mean)
    assert metrics["test/loss"]["value"] == pytest.approx(loss, rel=1e-5)
    assert any("severity_SEVERE" in name for name in found["metrics"])
    shown = capsys.readouterr().out
    assert "SYNTHETIC" in shown
    assert "tempered average" in shown
    # The threshold of the ensemble is its own, of val.
    mean = [float(row["prob_P"]) for row in rows(tmp_path / "ensemble", "covidgr-test")]
    called = np.array(mean) >= found["decision"]["thresholds"][1]
    sensitivity = found["metrics"]["test/sensitivity"]["value"]
    assert sensitivity == pytest.approx(called[np.array(label)].mean())


def test_another_dataset_on_which_all_were_evaluated(two, tmp_path):
    """val again, under the name of an external evaluation."""
    with pytest.raises(InputError, match=r"--mode=eval --workdir=.*a --eval_on=:val"):
        ensemble.combine(None, [str(run) for run in two], tmp_path / "e", ":val")
    for run in two:
        text = (run / "predictions/brixia-val.csv").read_text()
        (run / "predictions/brixia_256-val.csv").write_text(text)
    found = combine(two, tmp_path / "ensemble", eval_on=":val")["metrics"]
    path = tmp_path / "ensemble/evaluations/brixia_256-val.json"
    again = json.loads(path.read_text())["metrics"]
    assert set(again) == {name for name in found if name.startswith("val/")}
    assert all(found[name] == estimate for name, estimate in again.items())
    assert rows(tmp_path / "ensemble", "brixia_256-val")


def edited(path, change):
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")


def column(lines, name, value):
    """The file with another value in the first row of a column."""
    cells = lines[1].split(",")
    cells[lines[0].split(",").index(name)] = value
    return [lines[0], ",".join(cells), *lines[2:]]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda lines: lines[:-1], "is of other examples"),
        (lambda lines: column(lines, "target_C", "9"), "its target_C is not that of"),
        (lambda lines: column(lines, "prob_A0", "nan"), "not finite"),
        (lambda lines: column(lines, "prob_A0", "x"), "other than numbers"),
        (lambda lines: column(lines, "prob_A0", "1.0"), "do not sum to 1"),
        (lambda lines: [lines[0].replace("prob_A0", "p"), *lines[1:]], "no column pro"),
    ],
)
def test_files_that_do_not_fit_are_named(two, tmp_path, change, message):
    path = two[1] / "predictions/brixia-test.csv"
    edited(path, change)
    with pytest.raises(InputError, match=message) as error:
        combine(two, tmp_path / "ensemble")
    assert error.value.where == str(path)
    assert not (tmp_path / "ensemble").exists()


def test_the_order_of_a_file_does_not_matter(two, tmp_path):
    before = combine(two, tmp_path / "before")["metrics"]
    edited(two[0] / "predictions/brixia-test.csv", lambda x: [x[0], *reversed(x[1:])])
    assert combine(two, tmp_path / "after")["metrics"] == before


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"data.test": "test[:50%]"}, "test split = "),
        ({"data.val": "val[:50%]"}, "val split = "),
        ({"data.dataset": "covidgr/256"}, "dataset = 'covidgr' in .*other"),
    ],
)
def test_runs_of_other_examples_or_tasks_are_refused(
    finished_run, two, tiny_config, covidgr_data, tmp_path, changes, message
):
    with tiny_config.unlocked():
        tiny_config.update_from_flattened_dict(changes)
        if tiny_config.data.dataset == "covidgr/256":
            common.use_task(
                tiny_config, "classify", "cross_entropy", classes=("N", "P")
            )
            tiny_config.data.data_dir = str(covidgr_data)
    other = finished_run(tmp_path / "other", tiny_config)
    with pytest.raises(InputError, match=message):
        combine([*two, other], tmp_path / "ensemble")


def test_classes_in_another_order_are_refused(finished_run, classify_config, tmp_path):
    one = finished_run(tmp_path / "one", classify_config)
    with classify_config.unlocked():
        classify_config.task.settings.classes = ("P", "N")
    with pytest.raises(InputError, match=r"classes = \('P', 'N'\) in"):
        combine(
            [one, finished_run(tmp_path / "two", classify_config)],
            tmp_path / "ensemble",
        )


def test_runs_that_are_not_there_not_finished_or_named_twice(two, tmp_path):
    with pytest.raises(InputError, match=r"1 different run\(s\), 2 in all"):
        combine([two[0], two[0]], tmp_path / "ensemble")
    with pytest.raises(InputError, match="no such file"):
        combine([two[0], tmp_path / "nothing"], tmp_path / "ensemble")
    with pytest.raises(InputError, match="is the workdir of a run"):
        combine(two, two[0])
    (two[1] / "results.json").unlink()
    with pytest.raises(InputError, match="is not finished"):
        combine(two, tmp_path / "ensemble")


def test_other_data_than_those_of_the_runs_are_refused(two, tmp_path):
    for run in two:
        text = (run / "provenance.json").read_text()
        origin = json.loads(text)
        del origin["digest"]
        origin["dataset"]["roles"]["test"]["sha256"] = "0" * 64
        (run / "provenance.json").write_text(json.dumps(digest.seal(origin)))
    with pytest.raises(InputError, match=r"columns .* of test: 00000000"):
        combine(two, tmp_path / "ensemble")


def test_a_config_that_says_something_else_is_refused(two, tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.resamples = 30
    runs = [str(run) for run in two]
    assert ensemble.combine(tiny_config, runs, tmp_path / "ensemble") == 0
    with tiny_config.unlocked():
        tiny_config.task.loss = "ordinal"
    with pytest.raises(InputError, match=r"\+ task.loss = 'ordinal'"):
        ensemble.combine(tiny_config, runs, tmp_path / "ensemble")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--mode=ensemble"], "--runs: is not given"),
        (["--mode=eval", "--runs=a"], "belongs to --mode=ensemble"),
    ],
)
def test_the_flag_and_the_mode_belong_together(
    environment, tmp_path, arguments, message
):
    command = [sys.executable, "-m", "cxr_jax.main", f"--workdir={tmp_path / 'e'}"]
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr


def test_what_an_earlier_version_did_not_settle_is_settled_now(two, tmp_path):
    before = combine(two, tmp_path / "before")
    path = two[0] / "results.json"
    content = json.loads(path.read_text())
    assert content["best"]["decision"].pop("confidence")
    assert content.pop("digest")
    path.write_text(json.dumps(digest.seal(content)))
    after = combine(two, tmp_path / "after")
    for name, estimate in before["members"][str(two[0])]["metrics"].items():
        found = after["members"][str(two[0])]["metrics"][name]
        # What is settled on so few patients hangs on the last digit of the file.
        if not name.endswith(("_temperature", "_vector")):
            assert found == pytest.approx(estimate, abs=5e-3), name
    assert after["metrics"] == before["metrics"]


def test_runs_may_have_commas_in_their_names(finished_run, tiny_config, tmp_path):
    names = ("lr=0.1,seed=0", "lr=0.1,seed=1")
    made = [finished_run(tmp_path / n, tiny_config, i) for i, n in enumerate(names)]
    as_the_flag_cuts_them = ",".join(map(str, made)).split(",")
    assert [run.workdir for run in predictions.find(as_the_flag_cuts_them)] == made
