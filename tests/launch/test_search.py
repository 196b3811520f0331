"""A search over trials that end as their settings say, and what it may see of test."""

import csv
import json
import os
import signal
import subprocess
import sys

import pytest
from places import REPOSITORY

from launch import claim, jobs, trial_loop, trials
from tfds_builders.common.errors import InputError

optuna = pytest.importorskip("optuna", reason="the extra [search] is not installed")

SEARCH = """
from cxr_jax.configs import quickstart
def get_config(arg=None):
    config = quickstart.get_config()
    config.report = False
    return config
def search(trial):
    return {"optim.lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True)}
"""
# Evaluates eight times; the zone MAE is the distance of the rate from 0.01, in decades.
# With --notest it leaves val.json, else results.json: the digests are of their content.
TRIAL = """
import hashlib, json, math, pathlib, signal, sys, time
workdir, rate, notest = pathlib.Path({workdir!r}), {rate}, {notest}
mae = abs(math.log10(rate) + 2)
workdir.mkdir(exist_ok=True)
with open(workdir.parent / "started", "a") as file:
    print(workdir.name, "val" if notest else "test", file=file)
if {code}:
    sys.exit({code})
def leave(name, content):
    text = json.dumps(content, sort_keys=True)
    seal = hashlib.sha256(text.encode()).hexdigest()
    (workdir / name).write_text(json.dumps({{**content, "digest": seal}}))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
done = len((workdir / "metrics.jsonl").read_text().splitlines()) if (workdir / "metrics.jsonl").exists() else 0
for step in range(done, 8):
    with open(workdir / "metrics.jsonl", "a") as file:
        print(json.dumps({{"step": step, "val/mae_zone": mae + 1 / (step + 1)}}), file=file)
    time.sleep({pause})
leave("val.json" if notest else "results.json", {{"best": {{"value": mae}}}})
"""


@pytest.fixture
def question(tmp_path):
    path = tmp_path / "question.py"
    path.write_text(SEARCH)
    return path


def toy_command(pause=0.0, code="0"):
    def command_of(config, workdir, overrides, extra):
        program = TRIAL.format(
            workdir=str(workdir),
            rate=overrides["optim.lr"],
            notest="--notest" in extra,
            pause=pause,
            code=code,
        )
        return [sys.executable, "-S", "-c", program]

    return command_of


@pytest.fixture
def toy(monkeypatch):
    """toy(pause, code) makes trials toys that last so long, or end with that code."""

    def use(pause=0.0, code="0"):
        monkeypatch.setattr(jobs, "command_of", toy_command(pause, code))

    return use


def asked(question, out, **changes):
    return trial_loop.Asked(
        str(question), out, [], **{"trials": 6, "pruner": "none", **changes}
    )


def table(out):
    return list(csv.DictReader((out / "search.csv").open()))


def started(out):
    return [line.split() for line in (out / "started").read_text().splitlines()]


def test_only_the_best_on_val_is_tested(question, out, toy, capsys):
    toy()
    assert trial_loop.run(asked(question, out)) == 0
    rows = table(out)
    assert [row["state"] for row in rows] == ["complete"] * 6
    values = [float(row["val/mae_zone"]) for row in rows]
    assert values == sorted(values)
    rates = [float(row["optim.lr"]) for row in rows]
    assert len(set(rates)) == 6 and all(1e-4 <= rate <= 1e-1 for rate in rates)
    best = f"trial={int(rows[0]['trial']):04d}"
    assert [name for name, split in started(out) if split == "test"] == [best]
    assert [p.parent.name for p in out.glob("*/results.json")] == [best]
    assert "6 trials, " in capsys.readouterr().out and rows[0]["gpu_hours"] == "0.0"
    # The same command changes nothing; more trials would be chosen with test in sight.
    assert trial_loop.run(asked(question, out)) == 0
    assert len(started(out)) == 7
    with pytest.raises(InputError, match=f"{best} was the best of 6 trials"):
        trial_loop.run(asked(question, out, trials=7))


def test_trials_are_a_function_of_the_seed_also_in_parts(question, tmp_path, toy):
    toy()
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert trial_loop.run(asked(question, whole, trials=12)) == 0
    for count in (3, 12):
        made = trials.open_search(str(question), [], parts, "", "none")
        while len(made.study.trials) < count:
            trial, part = trials.ask(made)
            row = {int(r["trial"]): r for r in table(whole)}[trial.number]
            assert float(row["optim.lr"]) == part.overrides["optim.lr"]
            made.study.tell(trial, float(row["val/mae_zone"]))


def test_a_trial_that_promises_little_is_pruned(question, out, toy):
    """Against the median of five trials, by hand: the sixth is worse from the start."""
    toy(pause="9 if rate < 0.001 else 0")
    question.write_text(
        SEARCH.replace(
            'trial.suggest_float("lr", 1e-4, 1e-1, log=True)',
            "(0.01, 0.01001, 0.01002, 0.01003, 0.01004, 0.0001)[trial.number]",
        )
    )
    assert trial_loop.run(asked(question, out, pruner="median")) == 0
    rows = {int(row["trial"]): row["state"] for row in table(out)}
    assert rows == {**dict.fromkeys(range(5), "complete"), 5: "pruned"}
    assert not (out / "trial=0005/val.json").exists()


def test_the_same_config_is_trained_once(question, out, toy):
    toy()
    question.write_text(
        SEARCH.replace(
            'trial.suggest_float("lr", 1e-4, 1e-1, log=True)',
            'trial.suggest_categorical("lr", [0.01, 0.1])',
        )
    )
    assert trial_loop.run(asked(question, out, trials=8)) == 0
    assert len(table(out)) == 8
    assert sum(split == "val" for _, split in started(out)) == 2


def test_a_trial_that_fails_is_shown_and_not_tried_again(question, out, toy, capsys):
    toy(code="3 if rate < 0.005 else 0")
    assert trial_loop.run(asked(question, out, trials=8)) == 0
    rows = table(out)
    failed = [row for row in rows if row["state"] == "fail"]
    assert failed and all(float(row["optim.lr"]) < 0.005 for row in failed)
    assert rows[: len(rows) - len(failed)] == [r for r in rows if r not in failed]
    assert "exit code 3" in capsys.readouterr().out
    toy(code="3")
    with pytest.raises(InputError, match="was the best"):
        trial_loop.run(asked(question, out, trials=9))


PROGRAM = """
import pathlib, sys
sys.path.insert(0, {support!r})
from launch import jobs, trial_loop
text = {trial!r}
jobs.command_of = lambda config, workdir, overrides, extra: [
    sys.executable, "-S", "-c", text.format(
        workdir=str(workdir), rate=overrides["optim.lr"], notest="--notest" in extra,
        pause=0.1, code="0",
    )
]
sys.exit(trial_loop.run(trial_loop.Asked({question!r}, pathlib.Path({out!r}), [], 3, pruner="none")))
"""


@pytest.mark.parametrize("number, code", [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_a_search_that_is_stopped_goes_on_where_it_was(
    question, out, toy, number, code
):
    program = PROGRAM.format(
        support=str(REPOSITORY), trial=TRIAL, question=str(question), out=str(out)
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY)
    try:
        path = out / "trial=0001" / "metrics.jsonl"
        while not path.exists():
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(30) == code
    finally:
        process.kill()
    toy()
    # The toy of a killed launcher does not notice, and holds its claim to its end.
    made = trials.open_search(str(question), [], out, "", "none")
    assert [t.state.name for t in made.study.trials] == ["COMPLETE", "RUNNING"]
    left = trials.part(made.study.trials[1])
    while claim.holder(out, left.digest) is not None:
        pass
    assert (
        trial_loop.run(trial_loop.Asked(str(question), out, [], 3, pruner="none")) == 0
    )
    assert [row["state"] for row in table(out)] == ["complete"] * 3
    names = [name for name, split in started(out) if split == "val"]
    assert sorted(set(names)) == [f"trial={k:04d}" for k in range(3)]
    lines = (out / "trial=0001/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(8))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("def search", "def sarch", "does not define search"),
        ("optim.lr", "optim.lrr", "lrr"),
        ("trial.suggest_float", "trial.suggest_real", "line 8: AttributeError"),
        ('return {"optim.lr"', 'return None and {"optim.lr"', "returns None"),
    ],
)
def test_mistakes_in_the_file(question, out, toy, old, new, message):
    toy()
    question.write_text(SEARCH.replace(old, new))
    with pytest.raises(InputError, match=message):
        trial_loop.run(asked(question, out))


def test_another_search_or_storage_is_refused(question, out, toy):
    toy()
    assert trial_loop.run(asked(question, out, trials=1)) == 0
    question.write_text(SEARCH.replace("report = False", "batch_size = 4"))
    with pytest.raises(InputError, match="holds a search of another config"):
        trial_loop.run(asked(question, out))
    with pytest.raises(InputError, match="--storage=nothing://here: cannot be used"):
        trial_loop.run(asked(question, out, storage="nothing://here"))


def test_a_journal_file_is_a_storage(question, out, tmp_path, toy):
    toy()
    storage = f"journal:{tmp_path / 'shared.journal'}"
    assert trial_loop.run(asked(question, out, trials=2, storage=storage)) == 0
    assert not (out / "search.db").exists()
    made = trials.open_search(str(question), [], out, storage, "none")
    assert len(made.study.trials) == 2


LAUNCHER = """
import pathlib, sys
sys.path.insert(0, {tests!r})
import test_search
test_search.jobs.command_of = test_search.toy_command(0.02)
asked = test_search.asked({question!r}, pathlib.Path({out!r}), trials=6, storage={storage!r})
sys.exit(test_search.trial_loop.run(asked))
"""


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_three_launchers_share_a_search(question, out, tmp_path, kind):
    storage = f"journal:{tmp_path / 'shared'}" if kind == "journal" else ""
    program = LAUNCHER.format(
        tests=str(REPOSITORY / "tests" / "launch"),
        question=str(question),
        out=str(out),
        storage=storage,
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            (str(REPOSITORY), str(REPOSITORY / "tests/support"))
        )
    }
    together = [
        subprocess.Popen([sys.executable, "-c", program], env=environment)
        for _ in range(3)
    ]
    codes = [process.wait(timeout=120) for process in together]
    # Each trial was run once, and the last launcher to end tested the best.
    names = [name for name, split in started(out) if split == "val"]
    assert sorted(names) == [f"trial={k:04d}" for k in range(6)]
    assert set(codes) <= {0, 1} and 0 in codes
    best = trials.best(trials.open_search(str(question), [], out, storage, "none"))
    tested = [name for name, split in started(out) if split == "test"]
    assert tested == [f"trial={best.number:04d}"]


def test_a_dry_run_leaves_nothing(question, out, capsys):
    assert trial_loop.show(asked(question, out)) == 0
    shown = capsys.readouterr().out
    assert "cxr_jax.main" in shown and "--notest" in shown
    assert not out.exists()
