"""The small files around a run: writer, results, provenance, workdir, files."""

import errno
import json
import math

import numpy as np
import pytest
from ml_collections import ConfigDict
from places import REPOSITORY

from configs import quickstart
from cxr_jax.metrics import Estimate
from cxr_jax.runs import nonfinite, provenance, results, workdir
from cxr_jax.runs.nonfinite import NotFinite
from cxr_jax.runs.writer import Writer
from tfds_builders.common.errors import InputError

SETTINGS = {"total_steps": 6, "log_steps": 2, "batch_size": 8, "steps_per_epoch": 5.0}


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def of_steps(losses, **changes):
    """What a call of so many steps gives."""
    count = len(losses)
    found = {"loss": losses, "grad_norm": [0.5] * count, "layer_norms": [[0.5]] * count}
    return {name: np.float32(rows) for name, rows in (found | changes).items()}


@pytest.mark.parametrize("calls", [(1, 1, 1, 1), (4,), (3, 1)])
def test_writer_averages_over_the_interval_one_call_late(tmp_path, calls):
    path = tmp_path / "metrics.jsonl"
    writer = Writer(path, start=0, **SETTINGS)
    losses, done = [1.0, 3.0, 5.0, 9.0], 0
    for count in calls:
        chunk = losses[done : done + count]
        done += count
        writer.later(done, of_steps(chunk), np.full(count, 0.1, np.float32))
    written = [r["step"] for r in rows(path)] if path.read_text() else []
    assert 4 not in written  # step 4 waits for the next call
    writer.flush()
    assert [(r["step"], r["train/loss"]) for r in rows(path)] == [(2, 2.0), (4, 7.0)]


def test_writer_drops_what_a_resumed_run_writes_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"step": 7, "tr')
    Writer(path, start=4, **SETTINGS)
    assert rows(path) == [{"step": 2}, {"step": 4}]


def test_writer_writes_null_where_there_is_no_number(tmp_path):
    writer = Writer(tmp_path / "metrics.jsonl", start=0, **SETTINGS)
    writer.write(1, {"val/auroc": math.nan})
    assert rows(tmp_path / "metrics.jsonl") == [{"step": 1, "val/auroc": None}]


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
def test_writer_stops_at_a_number_that_is_none(tmp_path, name):
    writer = Writer(tmp_path / "metrics.jsonl", start=0, **SETTINGS)
    found = of_steps([1.0, 1.0], **{name: [1.0, math.inf]}, layer_norms=[[1], [2]])
    writer.later(4, found, np.float32([0.1, 0.2]))
    with pytest.raises(NotFinite) as error:
        writer.flush()
    assert (error.value.step, error.value.layer_norms) == (4, [2.0])
    assert error.value.lr == pytest.approx(0.2)


def test_what_is_kept_of_a_step_that_went_wrong(tmp_path):
    error = NotFinite(7, math.nan, 0.1, [1.0, math.inf, math.nan])
    said = nonfinite.explain(
        error, tmp_path / "a.json", ["conv/kernel", "bn/scale", "fc/bias"], ["x", "y"]
    )
    assert "not finite in bn/scale (inf), fc/bias (nan)" in str(said)
    kept = json.loads((tmp_path / "a.json").read_text())
    assert kept["step"] == 7 and kept["batch"] == ["x", "y"]
    assert kept["gradient_norm_by_layer"]["conv/kernel"] == "1.0"


def test_results_say_null_and_why():
    metrics = {
        "auroc": Estimate(math.nan, math.nan, math.nan, 3, "one class"),
        "accuracy": Estimate(np.float64(0.5), 0.25, 0.75, np.int64(4)),
    }
    found = json.loads(json.dumps(results.to_json({"test": metrics})))
    assert found == {
        "test/auroc": {
            "value": None,
            "lo": None,
            "hi": None,
            "n": 3,
            "reason": "one class",
        },
        "test/accuracy": {"value": 0.5, "lo": 0.25, "hi": 0.75, "n": 4},
    }


def test_provenance_keeps_the_first_start_and_notes_what_changed(tmp_path, monkeypatch):
    path = tmp_path / "provenance.json"
    val = {"images": 1, "sha256": "v"}
    roles = {"val": val, "test": {"images": 3, "sha256": "abcdefghi"}}
    data = {"name": "a/1.0.0", "roles": roles}
    origin = {"file": "my.py:a=1", "overrides": {"model.widths": (4, 8)}}
    provenance.save(path, data, origin)
    first = json.loads(path.read_text())
    assert first["packages"]["numpy"] == np.__version__
    assert provenance.config_arguments(first) == [
        "--config=my.py:a=1",
        "--config.model.widths=(4, 8)",
    ]
    (tmp_path / "checkpoints/4").mkdir(parents=True)
    provenance.save(path, data, origin)
    assert json.loads(path.read_text()) == first
    monkeypatch.setattr(provenance.sys, "argv", ["main.py", "--another"])
    provenance.save(path, data, origin)
    changed = json.loads(path.read_text())
    assert changed.pop("resumed")[0]["command"] == ["main.py", "--another"]
    assert changed.pop("digest") != first.pop("digest")
    assert changed == first
    roles = {"val": val, "test": {"images": 2, "sha256": "xyz"}}
    other = {"name": "a/1.0.0", "roles": roles}
    with pytest.raises(
        InputError, match=r"images of test: 3, and now 2\n.*test: abcdefgh"
    ):
        provenance.save(path, other)


def test_git_revision_is_that_of_this_repository():
    found = provenance.git_revision()
    root = REPOSITORY
    if (root / ".git").exists():
        assert len(found["revision"]) == 40
    else:
        assert found == {"revision": None, "changed": None}


def with_seed(seed: int) -> ConfigDict:
    config = quickstart.get_config()
    config.seed, config.data.phantom = seed, 0
    return config


def test_workdir_is_let_go_of_and_keeps_its_config(tmp_path):
    for seed in (0, 1, 1):  # without a checkpoint, the folder may be taken over
        config = with_seed(seed)
        with workdir.claimed(tmp_path, config):
            workdir.keep_config(tmp_path, config)
    (tmp_path / "checkpoints/4").mkdir(parents=True)
    with (
        pytest.raises(InputError, match=r"- seed = 1\n  \+ seed = 2"),
        workdir.claimed(tmp_path, with_seed(2)),
    ):
        pass


def test_a_workdir_without_locks_is_used_with_a_warning(tmp_path, monkeypatch, capsys):
    """As on a network file system: ENOLCK, EOPNOTSUPP or ENOSYS."""

    def flock(file, how):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", flock)
    with workdir.claimed(tmp_path, with_seed(0)) as changes:
        assert changes == ""
    said = capsys.readouterr().err
    assert said.count("WARNING") == 1 and str(tmp_path) in said
