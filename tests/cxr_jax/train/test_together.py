"""Members of one program end as they do alone."""

import json
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from cxr_jax import config as config_lib
from cxr_jax import experiment
from cxr_jax.runs import checkpoint
from cxr_jax.train import loop, members, together
from tfds_builders.common.errors import InputError


def lines(workdir):
    return [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]


def alone(config, overrides, workdir):
    """The same member as a run of its own."""
    solo = members.configs(config, {"solo": overrides})["solo"]
    assert loop.train(solo, workdir) == 0
    return workdir


@pytest.fixture
def same_run(same_numbers):
    """Every line of both runs, and the figures on val and test."""

    def figures(workdir):
        content = json.loads((workdir / "results.json").read_text())
        named = content["metrics"].items()
        return {n.replace("test/", "val/"): e["value"] for n, e in named}

    def check(one, other, tolerance):
        for row, expected in zip(lines(one), lines(other), strict=True):
            same_numbers(row, expected, tolerance)
        same_numbers(figures(one), figures(other), tolerance)

    return check


def written(path, overrides):
    path.write_text(json.dumps(overrides))
    return str(path)


DIFFERENT = {
    "base": {},
    "other": {"seed": 3, "optim.lr": 3e-3, "optim.weight_decay": 0.3},
    "noisy": {"task.label_noise": 0.5, "preprocess.strength": 0.0},
}


def test_members_end_as_they_do_alone(same_run, tiny_config, tmp_path):
    """To a part in a thousand after six steps: Adam makes rounding visible."""
    text = written(tmp_path / "members.json", DIFFERENT)
    assert together.train(tiny_config, tmp_path, text) == 0
    for name, overrides in DIFFERENT.items():
        solo = alone(tiny_config, overrides, tmp_path / f"{name}_alone")
        same_run(tmp_path / name, solo, tolerance=1e-3)
        kept = json.loads((tmp_path / name / "overrides.json").read_text())
        assert kept == overrides
    losses = [lines(tmp_path / name)[-1]["val/loss"] for name in DIFFERENT]
    assert len(set(losses)) == len(DIFFERENT)


def test_folds_are_members(same_run, tiny_config, tmp_path):
    """They train on other pictures, and on other numbers of them."""
    with tiny_config.unlocked():
        tiny_config.total = "1 epochs"
        tiny_config.every.eval = "50 percent"
    folds = {f"fold={k}": {"data.fold": k} for k in range(3)}
    text = written(tmp_path / "members.json", folds)
    assert together.train(tiny_config, tmp_path, text) == 0
    tested = []
    for name, overrides in folds.items():
        solo = alone(tiny_config, overrides, tmp_path / f"{name}_alone")
        same_run(tmp_path / name, solo, tolerance=1e-3)
        rows = (tmp_path / name / "predictions/brixia-test.csv").read_text()
        tested += [row.split(",")[0] for row in rows.splitlines()[1:]]
    assert len(tested) == len(set(tested))


def test_a_member_that_stops_early_stays_as_it_was(same_run, tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.total = "12 steps"
        tiny_config.every.eval = "2 steps"
        tiny_config.stop_patience = 2
    both = {"still": {"optim.lr": 1e-9, "optim.weight_decay": 0.0}, "goes": {}}
    text = written(tmp_path / "members.json", both)
    assert together.train(tiny_config, tmp_path, text) == 0
    for name, overrides in both.items():
        solo = alone(tiny_config, overrides, tmp_path / f"{name}_alone")
        same_run(tmp_path / name, solo, tolerance=1e-3)
    assert lines(tmp_path / "still")[-1]["step"] < lines(tmp_path / "goes")[-1]["step"]


@pytest.fixture
def long_members(tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.total = "60 steps"
        tiny_config.every.eval = "20 steps"
        tiny_config.every.checkpoint = "10 steps"
        tiny_config.every.log = "7 steps"
        tiny_config.optim.ema_decay = 0.9
    (tmp_path / "config.json").write_text(config_lib.to_json(tiny_config))
    return tmp_path / "config.json"


def command(config, folder):
    code = (
        "import sys, pathlib, jax\n"
        "jax.config.update('jax_num_cpu_devices', 2)\n"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)\n"
        "from cxr_jax import config\n"
        "from cxr_jax.train import together\n"
        "sys.exit(together.train(config.from_json(pathlib.Path(sys.argv[1])),"
        " pathlib.Path(sys.argv[2]), '2'))\n"
    )
    return [sys.executable, "-c", code, str(config), str(folder)]


def test_killed_members_go_on_to_the_same_bits(
    long_members, tiny_config, tmp_path, environment
):
    folders = tmp_path / "broken", tmp_path / "unbroken"
    process = subprocess.Popen(
        command(long_members, folders[0]), env=environment, stdout=subprocess.PIPE
    )
    for line in process.stdout:
        if b"step     28/60" in line:
            break
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    process.stdout.close()
    for folder in folders:
        subprocess.run(
            command(long_members, folder),
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    exp = experiment.build(tiny_config, train_examples=40)
    for name in ("seed=0", "seed=1"):
        one, other = (
            checkpoint.restore(
                checkpoint.open_store(folder / name / "checkpoints", read_only=True),
                exp.abstract_state,
            )
            for folder in folders
        )
        assert int(one[0].step) == 60
        jax.tree.map(np.testing.assert_array_equal, one[0], other[0])
        assert one[1] == other[1]
        results = [(folder / name / "results.json").read_bytes() for folder in folders]
        assert results[0] == results[1]


def test_members_that_stopped_at_different_steps_go_back_to_a_common_one(
    tiny_config, tmp_path
):
    """A kill came between two saves: one member is a checkpoint ahead."""
    text = written(tmp_path / "members.json", {"a": {}, "b": {"seed": 1}})
    assert together.train(tiny_config, tmp_path, text) == 0
    expected = {name: lines(tmp_path / name) for name in "ab"}
    import shutil

    shutil.rmtree(tmp_path / "b/checkpoints/6")
    for name in "ab":
        (tmp_path / name / "results.json").unlink()
    shutil.rmtree(tmp_path / "a/checkpoints/6")
    assert together.train(tiny_config, tmp_path, text) == 0
    for name in "ab":
        for row, before in zip(lines(tmp_path / name), expected[name], strict=True):
            row.pop("images_per_second", None), before.pop("images_per_second", None)
            assert row == before


def test_a_finished_member_is_not_trained_again(tiny_config, tmp_path, capsys):
    assert together.train(tiny_config, tmp_path, "2") == 0
    before = (tmp_path / "seed=1/results.json").read_bytes()
    assert together.train(tiny_config, tmp_path, "2") == 0
    assert "2 of 2 members are finished" in capsys.readouterr().out
    assert (tmp_path / "seed=1/results.json").read_bytes() == before


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"a": {"model.name": "cnn"}}, "which all members of one program share"),
        ({"a": {"optim.lr": "fast"}}, "sets optim.lr='fast'"),
        ({"a": 3}, "write it as"),
        ({"../a": {}}, "each name becomes a folder"),
        ({}, "names no member"),
        ({"a": {"data.fold": 1}, "b": {}}, "give all members a fold, or none"),
    ],
)
def test_what_cannot_be_members_is_explained(tiny_config, tmp_path, overrides, message):
    text = written(tmp_path / "members.json", overrides)
    with pytest.raises(InputError, match=message):
        members.configs(tiny_config, members.read(text, tiny_config))


def test_members_need_the_device(tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.data.residency = "disk"
    with pytest.raises(InputError, match="on the device"):
        together.train(tiny_config, tmp_path, "2")


def test_a_number_is_so_many_seeds(tiny_config):
    with tiny_config.unlocked():
        tiny_config.seed = 5
    assert members.read("2", tiny_config) == {
        "seed=5": {"seed": 5},
        "seed=6": {"seed": 6},
    }
