"""The whole path, on 60 phantoms: train, be stopped, resume, be evaluated."""

import csv
import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
from run_files import assert_same_run, lines

from configs import common
from cxr_jax import config as config_lib
from cxr_jax.data import pipeline, roles
from cxr_jax.evaluation import evaluate
from cxr_jax.runs.workdir import claimed
from cxr_jax.train import loop, members
from tfds_builders.common.errors import InputError

pytestmark = pytest.mark.usefixtures("keep_signals")


@pytest.fixture
def finished(trained, tmp_path):
    """A finished run of the tiny config."""
    return shutil.copytree(trained, tmp_path / "unbroken")


def metrics_of(workdir):
    return json.loads((workdir / "results.json").read_text())["metrics"]


def test_a_finished_run_leaves_the_documented_files(finished):
    for name in ("config.json", "provenance.json", "metrics.jsonl", "results.json"):
        assert (finished / name).is_file()
    results = json.loads((finished / "results.json").read_text())
    mae = results["metrics"]["test/mae_zone"]
    assert set(mae) == {"value", "lo", "hi", "n"}
    assert mae["lo"] <= mae["value"] <= mae["hi"]
    assert results["synthetic"] is True
    assert set(results["shared_patients"].values()) == {0}
    rows = list(csv.DictReader((finished / "predictions/brixia-test.csv").open()))
    assert len(rows) == mae["n"] == results["sizes"]["test"]["images"]
    best = json.loads((finished / "checkpoints/best.json").read_text())
    assert best["step"] == results["best_step"]
    steps = [row["step"] for row in lines(finished) if "train/loss" in row]
    assert steps == [1, 2, 3, 4, 5, 6]
    evaluated = [row["step"] for row in lines(finished) if "val/mae_zone" in row]
    assert evaluated == [3, 6]
    provenance = json.loads((finished / "provenance.json").read_text())
    assert provenance["dataset"]["name"].startswith("brixia/256/")


def test_a_finished_run_is_not_repeated(finished, tiny_config, capsys):
    before = (finished / "results.json").read_bytes()
    assert loop.train(tiny_config, finished) == 0
    assert "is finished" in capsys.readouterr().out
    assert (finished / "results.json").read_bytes() == before


def test_another_config_is_refused_with_the_difference(finished, tiny_config):
    with tiny_config.unlocked():
        tiny_config.optim.lr = 0.5
    different = r"another config[\s\S]*\+ optim.lr = 0.5"
    with pytest.raises(InputError, match=different):
        loop.train(tiny_config, finished)
    shutil.rmtree(finished / "checkpoints")  # the results still belong to the old one
    with pytest.raises(InputError, match=different):
        loop.train(tiny_config, finished)


def test_a_change_allowed_by_name_is_recorded(finished, tiny_config):
    (finished / "results.json").unlink()  # as if it had been stopped before the end
    with tiny_config.unlocked():
        tiny_config.total = "8 steps"
        tiny_config.optim.lr = 0.5
    with pytest.raises(InputError, match=r"lr = 0.5[\s\S]*--allow=optim.lr"):
        loop.train(tiny_config, finished, allow=["total"])
    assert loop.train(tiny_config, finished, allow=["total", "optim"]) == 0
    assert lines(finished)[-1]["step"] == 8
    assert json.loads((finished / "config.json").read_text())["optim"]["lr"] == 0.5
    provenance = json.loads((finished / "provenance.json").read_text())
    assert provenance["resumed"][0]["changes"] == [
        "- optim.lr = 0.001",
        "+ optim.lr = 0.5",
        "- total = '6 steps'",
        "+ total = '8 steps'",
    ]


def test_resuming_with_other_data_is_refused(finished, tiny_config):
    (finished / "results.json").unlink()
    (finished / "config.json").unlink()
    with tiny_config.unlocked():
        tiny_config.data.train = "train[:50%]"
    with pytest.raises(InputError, match="other data"):
        loop.train(tiny_config, finished)


def test_eval_of_the_same_split_gives_the_same_numbers(finished, capsys):
    assert evaluate.evaluate(None, finished, "brixia:test") == 0
    again = json.loads((finished / "evaluations/brixia_256-test.json").read_text())
    for name, estimate in again["metrics"].items():
        expected = metrics_of(finished)[name]["value"]
        assert estimate["value"] == pytest.approx(expected, abs=1e-6)
    assert "SYNTHETIC" in capsys.readouterr().out
    assert again["shared_patients"] == {"train-test": 0, "val-test": 0}


def test_eval_on_training_data_says_so(finished, capsys):
    half = finished / "checkpoints/9.orbax-checkpoint-tmp"  # just being written
    half.mkdir()
    assert evaluate.evaluate(None, finished, "brixia/256:train[:50%]") == 0
    assert "WARNING: the run was trained on" in capsys.readouterr().out
    path = finished / "evaluations/brixia_256-train_50pct.json"
    written = json.loads(path.read_text())
    assert written["shared_patients"]["train-train[:50%]"] > 0
    assert evaluate.evaluate(None, finished, ":val") == 0
    assert "WARNING: the run was selected on" in capsys.readouterr().out
    assert half.exists()


def test_eval_reads_the_training_dataset_by_the_fold_of_the_run(tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.data.fold = 1
        tiny_config.total = "2 steps"
    assert loop.train(tiny_config, tmp_path) == 0
    trained = json.loads((tmp_path / "results.json").read_text())
    assert set(trained["shared_patients"].values()) == {0}
    for name in ("", "brixia", "brixia/256"):
        assert evaluate.evaluate(None, tmp_path, f"{name}:test") == 0
        path = tmp_path / "evaluations/brixia_256-test.json"
        again = json.loads(path.read_text())
        assert again["sizes"]["test"] == trained["sizes"]["test"]
        assert set(again["shared_patients"].values()) == {0}


def test_eval_on_a_dataset_of_another_task_is_refused(finished, covidgr_data):
    config = config_lib.from_json(finished / "config.json")
    with config.unlocked():
        config.data.data_dir = str(covidgr_data)
    with pytest.raises(InputError, match="no zone scores"):
        evaluate.evaluate(config, finished, "covidgr/256:test")


def test_eval_with_another_model_is_refused(finished, tiny_config):
    with tiny_config.unlocked():
        tiny_config.model.widths = (8, 8)
    with pytest.raises(InputError, match=r"model.widths = \[8, 8\]"):
        evaluate.evaluate(tiny_config, finished, "brixia:test")


@pytest.fixture
def long_config(tiny_config):
    """As many steps as it takes to hit the run in the middle."""
    with tiny_config.unlocked():
        tiny_config.total = "60 steps"
        tiny_config.every.eval = "20 steps"
        tiny_config.every.checkpoint = "10 steps"
        tiny_config.every.log = "7 steps"  # in step with nothing else
        tiny_config.optim.ema_decay = 0.9
        tiny_config.plateau.patience = 1
        tiny_config.stop_patience = 50
        tiny_config.model.dropout = 0.1  # the program of test_faults
    return tiny_config


def wait_for(workdir, step: int, process) -> None:
    while process.is_alive():
        path = workdir / "metrics.jsonl"
        if path.exists() and f'"step": {step},' in path.read_text():
            return
        time.sleep(0.005)


def test_a_stopped_and_resumed_run_ends_bit_identical(start, long_config, tmp_path):
    """After SIGTERM and Ctrl-C; what SIGKILL leaves is in test_faults."""
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    for step, number, code in ((14, signal.SIGINT, 130), (35, signal.SIGTERM, 0)):
        process = start(long_config, broken)
        wait_for(broken, step, process)
        os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode == code
        assert not (broken / "results.json").exists()
        assert list((broken / "checkpoints").glob("[0-9]*"))
    for workdir in (broken, unbroken):
        assert loop.train(long_config, workdir) == 0
    assert_same_run(broken, unbroken, long_config, 60)


def test_two_runs_in_one_folder_are_refused(tiny_config, tmp_path):
    with (
        claimed(tmp_path, tiny_config),
        pytest.raises(InputError, match="another process"),
    ):
        loop.train(tiny_config, tmp_path)


def test_a_loss_of_nan_stops_the_run(tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.optim.lr = 1e30
        tiny_config.optim.warmup = "0 steps"
        tiny_config.optim.weight_decay = 10.0
    with pytest.raises(
        InputError, match=r"step \d+: the loss is[\s\S]*not_finite.json"
    ):
        loop.train(tiny_config, tmp_path)
    assert not (tmp_path / "results.json").exists()
    kept = json.loads((tmp_path / "not_finite.json").read_text())
    # The batch is the one that the step saw: the same order, asked for again.
    splits = roles.open_splits(tiny_config.data, tmp_path)
    order = pipeline.order(splits.train.size, batch_size=8, seed=0)
    ids = splits.train.table["example_id"]
    assert kept["batch"] == [ids[i] for i in order[kept["step"] - 1]]
    assert "fc/kernel" in kept["gradient_norm_by_layer"]


@pytest.mark.parametrize("place", ["host", "disk"])
def test_results_do_not_depend_on_where_images_are_kept(
    trained, tiny_config, tmp_path, same_numbers, place
):
    """The run that all tests share has them on the device."""
    with tiny_config.unlocked():
        tiny_config.data.residency = place
    assert loop.train(tiny_config, tmp_path) == 0
    for row, expected in zip(lines(tmp_path), lines(trained), strict=True):
        same_numbers(row, expected, 1e-4)


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("data.val", "validation", "no split 'validation'"),
        ("select", "auroc", "'auroc' is not a metric"),
    ],
)
def test_a_failed_start_releases_the_folder(tiny_config, tmp_path, key, value, message):
    wrong = tiny_config.copy_and_resolve_references()
    wrong.update_from_flattened_dict({key: value})
    with pytest.raises(InputError, match=message):
        loop.train(wrong.lock(), tmp_path)
    with claimed(tmp_path, tiny_config):
        pass


def test_an_unwritable_workdir_is_named(tiny_config, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        loop.train(tiny_config, blocked / "run")


def test_classification_end_to_end(tiny_config, covidgr_data, tmp_path):
    with tiny_config.unlocked():
        tiny_config.data.dataset = "covidgr/256"
        tiny_config.data.data_dir = str(covidgr_data)
        common.use_task(
            tiny_config, "classify", "focal", classes=("N", "P"), balanced=True
        )
        tiny_config.select = "loss"
    assert loop.train(tiny_config, tmp_path) == 0
    metrics = metrics_of(tmp_path)
    for name in ("auroc", "auprc", "accuracy", "macro_f1", "sensitivity"):
        assert f"test/{name}" in metrics
    assert any("severity_SEVERE" in name for name in metrics)
    header = (tmp_path / "predictions/covidgr-test.csv").read_text().splitlines()[0]
    assert header == "example_id,patient_id,target,prob_N,prob_P"


# Members of one program end as they do alone, to a part in a thousand after six steps:
# Adam makes rounding visible.


@pytest.fixture
def train_members(tiny_config, tmp_path, same_numbers):
    """train_members({name: overrides}): trains them; each ends as it does alone."""

    def figures(workdir):
        found = metrics_of(workdir).items()
        return {n.replace("test/", "val/"): e["value"] for n, e in found}

    def check(overrides):
        path = tmp_path / "members.json"
        path.write_text(json.dumps(overrides))
        assert loop.train(tiny_config, tmp_path, members=str(path)) == 0
        for member in members.make(tiny_config, str(path), tmp_path):
            alone = tmp_path / f"{member.name}_alone"
            assert loop.train(member.config, alone) == 0
            pairs = zip(lines(member.workdir), lines(alone), strict=True)
            for row, expected in [
                *pairs,
                (figures(member.workdir), figures(alone)),
            ]:
                same_numbers(row, expected, 1e-3)
            kept = json.loads((member.workdir / "overrides.json").read_text())
            assert kept == overrides[member.name]

    return check


def test_members_end_as_if_trained_alone(train_members, tmp_path):
    different = {
        "base": {},
        "other": {"seed": 3, "optim.lr": 3e-3, "optim.weight_decay": 0.3},
        "noisy": {"task.label_noise": 0.5, "preprocess.strength": 0.0},
    }
    train_members(different)
    losses = [lines(tmp_path / name)[-1]["val/loss"] for name in different]
    assert len(set(losses)) == len(different)


def test_folds_are_members(train_members, tiny_config, tmp_path):
    """They train on other pictures, and on other numbers of them."""
    with tiny_config.unlocked():
        tiny_config.total = "1 epochs"
        tiny_config.every.eval = "50 percent"
    train_members({f"fold={k}": {"data.fold": k} for k in range(2)})
    tested = []
    for k in range(2):
        rows = (tmp_path / f"fold={k}/predictions/brixia-test.csv").read_text()
        tested += [row.split(",")[0] for row in rows.splitlines()[1:]]
    assert len(tested) == len(set(tested))


def test_a_member_that_stops_early_stays_as_it_was(
    train_members, tiny_config, tmp_path
):
    with tiny_config.unlocked():
        tiny_config.total = "12 steps"
        tiny_config.every.eval = "2 steps"
        tiny_config.stop_patience = 2
    still = {"optim.lr": 1e-9, "optim.weight_decay": 0.0}  # nothing gets better
    train_members({"still": still, "goes": {}})
    assert lines(tmp_path / "still")[-1]["step"] < lines(tmp_path / "goes")[-1]["step"]


def test_killed_members_resume_bit_identically(start, long_config, tmp_path):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    process = start(long_config, broken, members="2")
    wait_for(broken / "seed=0", 28, process)
    process.kill()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    for folder in (broken, unbroken):
        assert loop.train(long_config, folder, members="2") == 0
    for name in ("seed=0", "seed=1"):
        assert_same_run(broken / name, unbroken / name, long_config, 60)


def test_members_that_stopped_at_different_steps_resume_from_a_common_one(
    tiny_config, tmp_path, capsys
):
    """A kill came between two saves: one member is a checkpoint ahead."""
    one, other = tmp_path / "one", tmp_path / "other"
    with tiny_config.unlocked():  # the same rates whatever the total
        tiny_config.optim.schedule, tiny_config.optim.warmup = "constant", "0 steps"
    assert loop.train(tiny_config, one, members="2") == 0
    before = (one / "seed=1/results.json").read_bytes()
    assert loop.train(tiny_config, one, members="2") == 0
    assert "2 of 2 members are finished" in capsys.readouterr().out
    assert (one / "seed=1/results.json").read_bytes() == before
    for path in one.glob("*/results.json"):
        path.unlink()
    shutil.rmtree(one / "seed=1/checkpoints/6")
    shutil.copytree(one, other)
    shutil.rmtree(other / "seed=0/checkpoints/6")  # here both are at step 4
    with tiny_config.unlocked():
        tiny_config.total = "8 steps"
    for folder in (one, other):
        assert loop.train(tiny_config, folder, members="2", allow=["total"]) == 0
    for name in ("seed=0", "seed=1"):
        assert_same_run(one / name, other / name, tiny_config, 8)


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            {"a": {"model.name": "cnn"}, "b": {"model.name": "vit"}},
            "which all members of one program share",
        ),
        ({"a": {"model.name": "cnn"}, "b": {}}, "which all members of one program"),
        ({"a": {"optim.lr": "fast"}}, "sets optim.lr='fast'"),
        ({"a": 3}, "write it as"),
        ({"../a": {}}, "each name becomes a folder"),
        ({}, "names no member"),
        ({"a": {"data.fold": 1}, "b": {}}, "give all members a fold, or none"),
    ],
)
def test_runs_that_cannot_be_members_are_refused(
    tiny_config, tmp_path, overrides, message
):
    path = tmp_path / "members.json"
    path.write_text(json.dumps(overrides))
    with pytest.raises(InputError, match=message):
        members.make(tiny_config, str(path), tmp_path)


def test_members_may_share_what_they_may_not_differ_in(tiny_config, tmp_path):
    """Lists of JSON are the tuples of a config."""
    layers = [["^stem", 0]]
    shared = {"batch_size": 4, "optim.layers": layers}
    path = tmp_path / "members.json"
    path.write_text(json.dumps({str(k): {**shared, "seed": k} for k in range(2)}))
    for k, member in enumerate(members.make(tiny_config, str(path), tmp_path)):
        assert member.config.batch_size == 4 and member.config.seed == k
        assert member.config.optim.layers == (("^stem", 0),)
        assert member.overrides == {**shared, "seed": k}


def test_members_need_the_device(tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.data.residency = "disk"
    with pytest.raises(InputError, match="on the device"):
        loop.train(tiny_config, tmp_path, members="2")


def test_a_number_of_members_means_that_many_seeds(tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.seed = 5
    made = members.make(tiny_config, "2", tmp_path)
    assert [(each.name, each.config.seed) for each in made] == [
        ("seed=5", 5),
        ("seed=6", 6),
    ]


def test_images_are_found_in_splits_of_any_order():
    from cxr_jax.train.stepper import _places

    rows = np.array([7, 2, 9, 4])
    wanted = np.array([4, 7, 2])
    np.testing.assert_array_equal(rows[_places(rows, wanted)], wanted)


def test_without_test_a_run_is_not_finished_and_can_be(tiny_config, tmp_path, capsys):
    """The same command with test ends as a run that never was without."""
    one, other = tmp_path / "one", tmp_path / "other"
    assert loop.train(tiny_config, one, test=False) == 0
    assert not (one / "results.json").exists()
    assert [p.name for p in (one / "predictions").iterdir()] == ["brixia-val.csv"]
    found = json.loads((one / "val.json").read_text())
    assert found["metrics"] and all(key.startswith("val/") for key in found["metrics"])
    before = (one / "metrics.jsonl").read_bytes()
    capsys.readouterr()
    assert loop.train(tiny_config, one, test=False) == 0
    assert "is trained" in capsys.readouterr().out
    assert (one / "metrics.jsonl").read_bytes() == before
    for folder in (one, other):
        assert loop.train(tiny_config, folder) == 0
    assert_same_run(one, other, tiny_config, 6)
    results = json.loads((one / "results.json").read_text())
    expected = {k: v for k, v in results["metrics"].items() if k.startswith("val/")}
    assert found["metrics"] == expected and found["best"] == results["best"]
