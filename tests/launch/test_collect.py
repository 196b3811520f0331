"""Tables of runs, and folders that must not become tables."""

import json
import statistics

import pytest

from launch import collect
from tfds_builders.common.errors import InputError

CONFIG = {"seed": 0, "total": "1 epochs", "data": {"data_dir": "", "fold": -1}}


def finish(folder, name, overrides, value, **changes):
    """A run that sets task.loss and seed; without a value it is unfinished."""
    workdir = folder / name
    workdir.mkdir(parents=True)
    (workdir / "overrides.json").write_text(json.dumps(overrides))
    config = {**CONFIG, "task": {"loss": overrides.get("task.loss", "ce")}}
    config |= {"seed": overrides.get("seed", 0)} | changes
    (workdir / "config.json").write_text(json.dumps(config))
    if value is not None:
        estimate = {"value": value, "lo": value - 0.1, "hi": value + 0.1, "n": 9}
        (workdir / "results.json").write_text(
            json.dumps({"metrics": {"test/mae_zone": estimate}})
        )


def test_distinguishes_finished_runs_and_averages_seeds(tmp_path, capsys):
    values = (0.5, 0.7, 0.4)
    for seed, value in enumerate(values):
        finish(tmp_path, f"a{seed}", {"task.loss": "x", "seed": seed}, value)
    finish(tmp_path, "b0", {"task.loss": "y", "seed": 0}, 0.9)
    finish(tmp_path, "b1", {"task.loss": "y", "seed": 1}, None)
    assert collect.collect(tmp_path) == 0
    shown = capsys.readouterr().out
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    assert f"{mean:.3f} +- {deviation:.3f}" in shown
    assert "unfinished: b1" in shown
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert rows[0] == "run,seed,task.loss,metric,value,lo,hi,n"
    assert len(rows) == 5


def test_without_a_finished_run_says_what_to_do(tmp_path):
    finish(tmp_path, "a", {"seed": 0}, None)
    with pytest.raises(InputError, match="1 unfinished"):
        collect.collect(tmp_path)


def test_an_unknown_metric_lists_the_known_ones(tmp_path):
    finish(tmp_path, "a", {"seed": 0}, 0.5)
    with pytest.raises(InputError, match="none of auroc(.|\n)*mae_zone"):
        collect.collect(tmp_path, ["auroc"])
    assert not (tmp_path / "table.csv").exists()


def test_a_metric_that_only_some_runs_have(tmp_path, capsys):
    finish(tmp_path, "a", {"seed": 0}, 0.5)
    finish(tmp_path, "b", {"seed": 1}, 0.5)
    (tmp_path / "a" / "results.json").write_text('{"metrics": {}}')
    assert collect.collect(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[1] == "a    n/a"


def test_runs_with_other_settings_are_not_averaged(tmp_path):
    finish(tmp_path, "a", {"seed": 0}, 0.5)
    finish(tmp_path, "b", {"seed": 1}, 0.5)
    finish(tmp_path, "c", {"seed": 2}, 0.5, total="8 epochs", extra=1)
    with pytest.raises(InputError) as caught:
        collect.collect(tmp_path)
    assert str(caught.value).splitlines()[1:-1] == [
        "  extra = absent in a; b",
        "  extra = 1 in c",
        "  total = '1 epochs' in a; b",
        "  total = '8 epochs' in c",
    ]
    assert not (tmp_path / "table.csv").exists()


def test_runs_that_do_not_set_a_key_must_agree_on_it(tmp_path):
    finish(tmp_path, "a", {"seed": 0, "task.loss": "x"}, 0.5)
    finish(tmp_path, "b", {"seed": 0}, 0.5)
    finish(tmp_path, "c", {"seed": 1}, 0.5)
    assert collect.collect(tmp_path) == 0
    finish(tmp_path, "d", {"seed": 2}, 0.5, task={"loss": "focal"})
    with pytest.raises(InputError, match="task.loss = 'ce' in b; c\n.*'focal' in d"):
        collect.collect(tmp_path)


def test_the_location_of_the_data_does_not_matter_but_the_fold_does(tmp_path):
    finish(tmp_path, "a", {"seed": 0}, 0.5)
    finish(tmp_path, "b", {"seed": 1}, 0.5, data={"data_dir": "/mnt", "fold": -1})
    assert collect.collect(tmp_path) == 0
    finish(tmp_path, "c", {"seed": 2}, 0.5, data={"data_dir": "", "fold": 1})
    with pytest.raises(InputError, match="data.fold"):
        collect.collect(tmp_path)


def test_a_config_that_contradicts_its_overrides(tmp_path):
    finish(tmp_path, "a", {"seed": 1}, 0.5, seed=5)
    with pytest.raises(InputError, match="has seed = 5, but overrides.json has 1"):
        collect.collect(tmp_path)


@pytest.mark.parametrize("file", ["results.json", "overrides.json", "config.json"])
@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is not valid JSON"),
        (b'{"metrics": {', "is not valid JSON"),
        (b"\xff\xfe{}", "is not valid JSON"),
        (b"[]", "holds a list"),
        (b"null", "holds a NoneType"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, file, content, message):
    finish(tmp_path, "a", {"seed": 0}, 0.5)
    path = tmp_path / "a" / file
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        collect.collect(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("file", ["overrides.json", "config.json"])
def test_a_missing_file_of_a_finished_run_is_named(tmp_path, file):
    finish(tmp_path, "a", {"seed": 0}, 0.5)
    (tmp_path / "a" / file).unlink()
    with pytest.raises(InputError, match=f"a/{file}: there is no such file"):
        collect.collect(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"metrics": []},
        {"metrics": {"test/mae_zone": 0.5}},
        {"metrics": {"test/mae_zone": {"value": 0.5}}},
        {"metrics": {"test/mae_zone": {"value": "a", "lo": 0, "hi": 1, "n": 9}}},
    ],
)
def test_results_without_numbers_are_named(tmp_path, content):
    finish(tmp_path, "a", {"seed": 0}, 0.5)
    (tmp_path / "a" / "results.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="results.json: has no metrics"):
        collect.collect(tmp_path)
