"""The whole path, on 60 phantoms: train, be killed, go on, be evaluated."""

import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import jax
import numpy as np
import pytest

from configs import common
from cxr_jax import experiment
from cxr_jax.data import pipeline, roles
from cxr_jax.evaluation import evaluate
from cxr_jax.runs import checkpoint
from cxr_jax.train import loop
from tfds_builders.common.errors import InputError


def states(workdir, config):
    exp = experiment.build(config, train_examples=40)
    store = checkpoint.open_store(workdir / "checkpoints")
    return checkpoint.restore(store, exp.abstract_state)


def same_bits(one, other):
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)),
        one,
        other,
    )


@pytest.fixture
def finished(tiny_config, tmp_path, keep_signals):
    workdir = tmp_path / "unbroken"
    assert loop.train(tiny_config, workdir) == 0
    return workdir


def lines(workdir):
    return [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]


def timeless(rows):
    return [{k: v for k, v in r.items() if k != "images_per_second"} for r in rows]


def test_a_finished_run_leaves_what_is_promised(finished, tiny_config):
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


def test_a_finished_run_is_not_done_again(finished, tiny_config, capsys):
    before = (finished / "results.json").read_bytes()
    assert loop.train(tiny_config, finished) == 0
    assert "is finished" in capsys.readouterr().out
    assert (finished / "results.json").read_bytes() == before


def test_another_config_is_refused_with_the_difference(finished, tiny_config):
    with tiny_config.unlocked():
        tiny_config.optim.lr = 0.5
    with pytest.raises(InputError, match=r"another config[\s\S]*\+ optim.lr = 0.5"):
        loop.train(tiny_config, finished)


def test_a_change_that_is_allowed_by_name_goes_on_and_is_noted(
    finished, tiny_config, keep_signals
):
    (finished / "results.json").unlink()  # as if it had been stopped before the end
    with tiny_config.unlocked():
        tiny_config.total = "8 steps"
        tiny_config.optim.lr = 0.5
    with pytest.raises(InputError, match=r"lr = 0.5[\s\S]*--allow=optim.lr goes on"):
        loop.train(tiny_config, finished, allow=["total"])
    assert loop.train(tiny_config, finished, allow=["total", "optim"]) == 0
    assert lines(finished)[-1]["step"] == 8
    assert json.loads((finished / "config.json").read_text())["optim"]["lr"] == 0.5
    provenance = json.loads((finished / "provenance.json").read_text())
    assert provenance["resumed"][0]["config"] == [
        "- optim.lr = 0.001",
        "+ optim.lr = 0.5",
        "- total = '6 steps'",
        "+ total = '8 steps'",
    ]


def test_eval_of_the_same_split_gives_the_same_numbers(finished, capsys):
    assert evaluate.evaluate(None, finished, "brixia:test") == 0
    trained = json.loads((finished / "results.json").read_text())["metrics"]
    again = json.loads((finished / "evaluations/brixia_256-test.json").read_text())
    for name, estimate in again["metrics"].items():
        assert estimate["value"] == pytest.approx(trained[name]["value"], abs=1e-6)
    assert "SYNTHETIC" in capsys.readouterr().out
    assert again["shared_patients"] == {"train-test": 0, "val-test": 0}


def test_eval_on_the_training_split_says_so(finished, capsys):
    assert evaluate.evaluate(None, finished, "brixia/256:train[:50%]") == 0
    shown = capsys.readouterr().out
    assert "WARNING: the run was trained on" in shown
    path = finished / "evaluations/brixia_256-train_50pct.json"
    written = json.loads(path.read_text())
    assert written["shared_patients"]["train-train[:50%]"] > 0


def test_eval_on_val_says_that_it_was_selected_on(finished, capsys):
    assert evaluate.evaluate(None, finished, ":val") == 0
    assert "WARNING: the run was selected on" in capsys.readouterr().out


def test_a_finished_run_without_its_checkpoints_still_has_its_config(
    finished, tiny_config
):
    shutil.rmtree(finished / "checkpoints")
    with tiny_config.unlocked():
        tiny_config.optim.lr = 0.5
    with pytest.raises(InputError, match="another config"):
        loop.train(tiny_config, finished)


def test_a_reader_that_is_gone_does_not_cost_the_run(
    command, long_config, tmp_path, environment
):
    process = subprocess.Popen(
        command(long_config, tmp_path / "run"), env=environment, stdout=subprocess.PIPE
    )
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run/metrics.jsonl").touch()
    wait_for(tmp_path / "run", 7, process)
    process.stdout.close()  # as Ctrl-C does to `| tee log`
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert list((tmp_path / "run/checkpoints").glob("[0-9]*"))


def test_eval_leaves_a_checkpoint_in_the_making_alone(finished):
    half = finished / "checkpoints/9.orbax-checkpoint-tmp"
    half.mkdir()
    assert evaluate.evaluate(None, finished, ":val") == 0
    assert half.exists()


def test_eval_reads_the_training_dataset_by_the_fold_of_the_run(
    tiny_config, tmp_path, keep_signals
):
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
    from cxr_jax import config as config_lib

    config = config_lib.from_json(finished / "config.json")
    with config.unlocked():
        config.data.data_dir = str(covidgr_data)
    with pytest.raises(InputError, match="no zone scores"):
        evaluate.evaluate(config, finished, "covidgr/256:test")


def test_eval_with_another_model_is_refused(finished, tiny_config):
    with tiny_config.unlocked():
        tiny_config.model.widths = (8, 8)
    with pytest.raises(InputError, match="differs from the config of the run"):
        evaluate.evaluate(tiny_config, finished, "brixia:test")


@pytest.fixture
def long_config(tiny_config, tmp_path):
    """As many steps as it takes to hit the run in the middle."""
    with tiny_config.unlocked():
        tiny_config.total = "60 steps"
        tiny_config.every.eval = "20 steps"
        tiny_config.every.checkpoint = "10 steps"
        tiny_config.every.log = "7 steps"  # in step with nothing else
        tiny_config.optim.ema_decay = 0.9
        tiny_config.plateau.patience = 1
        tiny_config.stop_patience = 50
    path = tmp_path / "config.json"
    from cxr_jax import config as config_lib

    path.write_text(config_lib.to_json(tiny_config))
    return path


def wait_for(workdir: pathlib.Path, step: int, process) -> None:
    while process.poll() is None:
        text = (workdir / "metrics.jsonl").read_text() if workdir.exists() else ""
        if f'"step": {step},' in text:
            return
        time.sleep(0.005)


def test_a_stopped_and_resumed_run_ends_bit_identical(
    command, long_config, tmp_path, environment, tiny_config
):
    """After SIGTERM; what SIGKILL leaves is in test_faults."""
    workdirs = tmp_path / "broken", tmp_path / "unbroken"
    process = subprocess.Popen(
        command(long_config, workdirs[0]), env=environment, stdout=subprocess.DEVNULL
    )
    (workdirs[0]).mkdir(exist_ok=True)
    (workdirs[0] / "metrics.jsonl").touch()
    wait_for(workdirs[0], 28, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not (workdirs[0] / "results.json").exists()
    for workdir in workdirs:
        subprocess.run(
            command(long_config, workdir),
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    one, other = (states(workdir, tiny_config) for workdir in workdirs)
    assert int(one[0].step) == 60
    same_bits(one[0], other[0])
    assert one[1] == other[1]
    assert timeless(lines(workdirs[0])) == timeless(lines(workdirs[1]))
    files = [workdir / "results.json" for workdir in workdirs]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_two_runs_in_one_folder_are_refused(tiny_config, tmp_path, keep_signals):
    from cxr_jax.runs.workdir import claimed

    with (
        claimed(tmp_path, tiny_config),
        pytest.raises(InputError, match="another process"),
    ):
        loop.train(tiny_config, tmp_path)


def test_a_loss_that_is_not_a_number_stops_the_run(tiny_config, tmp_path, keep_signals):
    with tiny_config.unlocked():
        tiny_config.optim.lr = 1e30
        tiny_config.optim.clip_norm = 0.0
        tiny_config.optim.warmup = "0 steps"
        tiny_config.optim.weight_decay = 10.0
    with pytest.raises(
        InputError, match=r"step \d+: the loss is[\s\S]*not_finite.json"
    ):
        loop.train(tiny_config, tmp_path)
    assert not (tmp_path / "results.json").exists()
    kept = json.loads((tmp_path / "not_finite.json").read_text())
    # The batch is the one that the step saw: the same order, asked for anew.
    splits = roles.open_splits(tiny_config.data, tmp_path)
    order = pipeline.order(splits.train.size, batch_size=8, seed=0)
    ids = splits.train.table["example_id"]
    assert kept["batch"] == [ids[i] for i in order[kept["step"] - 1]]
    assert "fc/kernel" in kept["gradient_norm_by_layer"]


@pytest.mark.parametrize("place", ["host", "device"])
def test_the_numbers_do_not_depend_on_where_the_pictures_live(
    tiny_config, tmp_path, keep_signals, same_numbers, place
):
    with tiny_config.unlocked():
        tiny_config.data.residency = "disk"
    assert loop.train(tiny_config, tmp_path / "disk") == 0
    with tiny_config.unlocked():
        tiny_config.data.residency = place
    assert loop.train(tiny_config, tmp_path / place) == 0
    one, other = (timeless(lines(tmp_path / name)) for name in ("disk", place))
    for row, expected in zip(other, one, strict=True):
        same_numbers(row, expected, 1e-4)


def test_a_val_split_that_is_not_there_is_named(tiny_config, tmp_path, keep_signals):
    with tiny_config.unlocked():
        tiny_config.data.val = "validation"
    with pytest.raises(InputError, match=r"no split 'validation'"):
        loop.train(tiny_config, tmp_path)


def test_a_metric_that_val_does_not_have_is_named(tiny_config, tmp_path, keep_signals):
    with tiny_config.unlocked():
        tiny_config.select = "auroc"
    with pytest.raises(InputError, match="no metric of the model on val"):
        loop.train(tiny_config, tmp_path)


def test_an_unwritable_workdir_is_named(tiny_config, tmp_path, keep_signals):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        loop.train(tiny_config, blocked / "run")


def test_early_stopping_ends_the_run(tiny_config, tmp_path, keep_signals):
    with tiny_config.unlocked():
        tiny_config.total = "40 steps"
        tiny_config.every.eval = "2 steps"
        tiny_config.stop_patience = 2
        tiny_config.optim.lr = 1e-9  # nothing gets better
        tiny_config.optim.weight_decay = 0.0
        tiny_config.model.widths = (4,)
    assert loop.train(tiny_config, tmp_path) == 0
    last = max(row["step"] for row in lines(tmp_path))
    assert last < 40
    assert os.path.exists(tmp_path / "results.json")


def test_classification_end_to_end(tiny_config, covidgr_data, tmp_path, keep_signals):
    with tiny_config.unlocked():
        tiny_config.data.dataset = "covidgr/256"
        tiny_config.data.data_dir = str(covidgr_data)
        common.use_task(
            tiny_config, "classify", "focal", classes=("N", "P"), balanced=True
        )
        tiny_config.select = "loss"
    assert loop.train(tiny_config, tmp_path) == 0
    metrics = json.loads((tmp_path / "results.json").read_text())["metrics"]
    for name in ("auroc", "auprc", "accuracy", "macro_f1", "sensitivity"):
        assert f"test/{name}" in metrics
    assert any("severity_SEVERE" in name for name in metrics)
    header = (tmp_path / "predictions/covidgr-test.csv").read_text().splitlines()[0]
    assert header == "example_id,patient_id,target,prob_N,prob_P"


def test_other_data_in_a_run_that_has_begun_are_refused(
    tiny_config, brixia_data, tmp_path, keep_signals
):
    run = tmp_path / "run"
    assert loop.train(tiny_config, run) == 0
    (run / "results.json").unlink()  # as if it had been stopped before the end
    with tiny_config.unlocked():
        tiny_config.data.train = "train[:50%]"
    (run / "config.json").unlink()
    with pytest.raises(InputError, match="was begun on other data"):
        loop.train(tiny_config, run)


def test_a_first_start_that_failed_leaves_the_folder_free(
    tiny_config, tmp_path, keep_signals
):
    right = tiny_config.data.val
    with tiny_config.unlocked():
        tiny_config.data.val = "validation"
    with pytest.raises(InputError):
        loop.train(tiny_config, tmp_path)
    with tiny_config.unlocked():
        tiny_config.data.val = right
    assert loop.train(tiny_config, tmp_path) == 0
