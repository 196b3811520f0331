import json
import pathlib
import statistics
import sys

import pytest

from launch import collect, plan, sweep
from tfds_builders.common.errors import InputError

CONFIG = """
from configs import quickstart
def get_config(arg=None):
    return quickstart.get_config()
def sweep(add):
    for lr in (1e-3, 1e-2):
        for seed in (0, 1):
            add({"optim.lr": lr, "seed": seed})
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "question.py"
    path.write_text(CONFIG)
    return path


def test_runs_are_named_by_what_they_change(config):
    assert [run.name for run in plan.load(str(config))] == [
        "lr=0.001,seed=0",
        "lr=0.001,seed=1",
        "lr=0.01,seed=0",
        "lr=0.01,seed=1",
    ]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("optim.lr", "optim.lrr", "lrr"),
        ("optim.lr", "optimm.lr", "optimm"),
        ("(0, 1)", "(0, 0)", "twice"),
        ("(0, 1)", "()", "adds no run"),
        ("def sweep", "def swep", "has no sweep"),
    ],
)
def test_mistakes_in_a_sweep_are_found_before_it_starts(config, old, new, message):
    config.write_text(CONFIG.replace(old, new))
    with pytest.raises(InputError, match=message):
        plan.load(str(config))


def test_command_is_what_a_person_would_type(config):
    run = plan.load(str(config))[0]
    command = sweep.command_of(
        config, pathlib.Path("runs/q"), run.overrides, ["--config.total=1steps"]
    )
    assert command[0] == sys.executable
    assert command[1:] == [
        "-m",
        "cxr_jax.main",
        f"--config={config}",
        "--workdir=runs/q",
        "--config.optim.lr=0.001",
        "--config.seed=0",
        "--config.total=1steps",
    ]


def finish(folder, name, overrides, value):
    (folder / name).mkdir(parents=True)
    (folder / name / "overrides.json").write_text(json.dumps(overrides))
    if value is not None:
        estimate = {"value": value, "lo": value - 0.1, "hi": value + 0.1, "n": 9}
        (folder / name / "results.json").write_text(
            json.dumps({"metrics": {"test/mae_zone": estimate}})
        )


def test_collect_tells_finished_from_unfinished_and_averages_seeds(tmp_path, capsys):
    values = (0.5, 0.7, 0.4)
    for seed, value in enumerate(values):
        finish(tmp_path, f"a{seed}", {"loss": "x", "seed": seed}, value)
    finish(tmp_path, "b0", {"loss": "y", "seed": 0}, 0.9)
    finish(tmp_path, "b1", {"loss": "y", "seed": 1}, None)
    assert collect.collect(tmp_path) == 0
    shown = capsys.readouterr().out
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    assert f"{mean:.3f} +- {deviation:.3f}" in shown
    assert "unfinished: b1" in shown
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert rows[0] == "run,loss,seed,metric,value,lo,hi,n"
    assert len(rows) == 5


def test_collect_without_a_finished_run_says_what_to_do(tmp_path):
    finish(tmp_path, "a", {"seed": 0}, None)
    with pytest.raises(InputError, match="1 unfinished"):
        collect.collect(tmp_path)


def test_sweep_runs_what_is_missing_and_reports_failures(
    config, tmp_path, monkeypatch, capsys
):
    finish(tmp_path / "out", "lr=0.001,seed=0", {}, 0.5)
    started = []

    class Done:
        returncode = 0

    def record(command, check):
        started.append(command)
        done = Done()
        done.returncode = int("--config.optim.lr=0.01" in command)
        return done

    monkeypatch.setattr(sweep.subprocess, "run", record)
    assert sweep.run(str(config), tmp_path / "out", [], dry_run=False) == 1
    assert len(started) == 3
    shown = capsys.readouterr().out
    assert "finished before" in shown
    assert "2 of 4 runs failed: lr=0.01,seed=0, lr=0.01,seed=1" in shown
