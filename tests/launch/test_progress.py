"""What the files of a run say about it, and how it is shown."""

import json

import pytest

from cxr_jax.runs import own_digest
from launch import attempts, grouping, live_table, plan, progress, unique
from launch.progress import Progress


def row(step, **values):
    return json.dumps({"step": step, **values}) + "\n"


def seal(path):
    """An empty result with its digest."""
    path.write_text(json.dumps(own_digest.seal({})))


def test_a_run_is_where_its_files_say(tmp_path):
    assert progress.of(tmp_path, "x") == Progress("waiting")
    config = {"total": "4 epochs", "batch_size": 5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    splits = {"train": {"examples": list("abcdefghij"), "patients": []}}
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    text = row(2, images_per_second=None) + row(6, images_per_second=2.5)
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 7, "los')  # a kill
    (tmp_path / "checkpoints").mkdir()
    best = {"step": 6, "metric": "val/mae_zone", "value": 0.5}
    (tmp_path / "checkpoints/best.json").write_text(json.dumps(best))
    at = progress.measured(tmp_path)
    # 10 images in batches of 5, 4 epochs: 8 steps; 2 of 5 images at 2.5 a second.
    assert at == Progress("running", "", 6, 8, "mae_zone", 0.5, 4.0)
    assert progress.of(tmp_path, "x").state == "stopped"
    attempts.add(tmp_path, attempts.Attempt(code=-9, seconds=1.0))
    at = progress.of(tmp_path, "x")
    assert at.state == "failed" and "SIGKILL" in at.reason and at.step == 6
    attempts.add(tmp_path, attempts.Attempt(code=0, seconds=1.0))
    assert progress.of(tmp_path, "x").state == "stopped"
    # A result of other settings is not its result.
    seal(tmp_path / "results.json")
    assert progress.of(tmp_path, "x").state == "stopped"
    own = unique.of_folder(tmp_path)
    assert progress.of(tmp_path, own).state == "finished"
    (tmp_path / "results.json").write_text("{")
    assert progress.of(tmp_path, own).state == "damaged"


@pytest.mark.parametrize(
    "name", ["config.json", "splits.json", "metrics.jsonl", "attempts.jsonl"]
)
@pytest.mark.parametrize("content", ["", "[]", "null", "{", "\x00", '{"step": []}\n'])
def test_damaged_files_do_not_end_the_launcher(tmp_path, name, content):
    for other in ("config.json", "splits.json"):
        (tmp_path / other).write_text("{}")
    (tmp_path / name).write_text(content)
    assert progress.of(tmp_path, "x").state in ("waiting", "stopped")
    assert attempts.read(tmp_path) == []


def test_digests_tell_configs_apart_but_not_places(config):
    runs = plan.load(str(config))
    assert len({unique.digest(run.config) for run in runs}) == 4
    moved = plan.load(str(config), ["--config.data.data_dir=/mnt/other"])
    for run, other in zip(runs, moved, strict=True):
        assert unique.digest(run.config) == unique.digest(other.config)
    longer = plan.load(str(config), ["--config.total=3 steps"])
    assert longer[0].config["total"] == "3 steps"
    assert unique.digest(longer[0].config) != unique.digest(runs[0].config)


def test_a_run_of_before_a_key_is_the_run_that_has_it_as_it_was(config, tmp_path):
    whole = plan.load(str(config))[0].config
    data = {k: v for k, v in whole["data"].items() if k not in ("split_by", "leaks")}
    optim = {k: v for k, v in whole["optim"].items() if k != "torch_norms"}
    (tmp_path / "config.json").write_text(
        json.dumps({**whole, "data": data, "optim": optim})
    )
    assert unique.of_folder(tmp_path) == unique.digest(whole)
    for name, value in (("split_by", "image"), ("leaks", True)):
        other = {**whole, "data": {**whole["data"], name: value}}
        assert unique.of_folder(tmp_path) != unique.digest(other)
    # A key that was always there is not made up.
    del data["size"]
    (tmp_path / "config.json").write_text(json.dumps({**whole, "data": data}))
    assert unique.of_folder(tmp_path) != unique.digest(whole)


def test_runs_that_can_share_a_program(config):
    config.write_text(
        config.read_text().partition("def sweep")[0]
        + "def sweep(add):\n"
        + "    for loss in ('ordinal', 'ce_mae'):\n"
        + "        for seed in (0, 1): add({'task.loss': loss, 'seed': seed})\n"
        + "    add({'data.fold': 1})\n"
        + "    add({'data.fold': 2})\n"
        + "    add({'data.size': 64})\n"
    )
    runs = plan.load(str(config))
    names = [[run.name for run in group] for group in grouping.groups(runs)]
    assert names == [
        ["loss=ordinal,seed=0", "loss=ordinal,seed=1"],
        ["loss=ce_mae,seed=0", "loss=ce_mae,seed=1"],
        ["fold=1", "fold=2"],
        ["size=64"],
    ]
    backend, why = grouping.choose(runs)
    assert backend == "members" and "6 of 7 runs share 3" in why
    assert grouping.choose([runs[0], runs[2]]).backend == "local"
    extra = ["--config.data.residency=disk"]
    assert grouping.choose(plan.load(str(config), extra)).backend == "local"


RUNNING = Progress("running", "", 6, 8, "mae_zone", 0.5, 75.0)


def test_without_a_terminal_changes_are_lines(capsys):
    table = live_table.LiveTable(terminal=False)
    table.show({"a": Progress("waiting"), "b": RUNNING})
    table.show({"a": Progress("waiting"), "b": RUNNING})
    table.show({"a": Progress("failed", "exit code 3"), "b": RUNNING})
    assert capsys.readouterr().out.splitlines() == [
        "b: running  step 6/8  mae_zone 0.500  left 1:15",
        "a: failed (exit code 3)",
    ]


def test_on_a_terminal_the_table_is_drawn_in_its_place(capsys, monkeypatch):
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "80")
    table = live_table.LiveTable(terminal=True)
    found = {f"run{k}": Progress("waiting") for k in range(20)} | {"b": RUNNING}
    table.show(found)
    first = capsys.readouterr().out
    table.show(found)
    second = capsys.readouterr().out
    height = first.count("\n")
    assert height <= 10 and second.startswith(f"\x1b[{height}A")
    assert first.split("\n")[1].split()[:2] == ["b", "running"]
    assert "1 running, 20 waiting of 21 runs" in first
    assert "and 16 waiting" in first
    table.message("something")
    assert capsys.readouterr().out.endswith("something\n")


@pytest.mark.parametrize(
    ("code", "said"), [(-9, "SIGKILL"), (-40, "signal 40"), (-11, "crashed"), (3, "3")]
)
def test_every_way_to_end_has_a_reason(code, said):
    assert said in attempts.reason(code)
