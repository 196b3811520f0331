"""The whole command: a row measured, killed and resumed; what cannot be run says why."""

import json
import subprocess
import sys
import time

import pytest
from places import REPOSITORY

# A run of six steps on synthetic films, twice: as published and honest.
CONFIG = """
\"\"\"A small model.\"\"\"
from configs import quickstart
def get_config(arg=None):
    config = quickstart.get_config()
    config.data.phantom, config.data.size = 60, 48
    config.batch_size, config.total = 8, "6 steps"
    config.model.widths, config.model.stem_stride = (4, 8), 1
    config.preprocess.train = "to_float|flip_lr|standardise"
    config.preprocess.eval = "to_float|standardise"
    config.every.eval = config.every.checkpoint = "3 steps"
    config.resamples, config.report = 40, False
    return config
"""
ROWS = """
[[row]]
name = "tiny"
title = "A small model"
metric = "mae_zone"
protocol = "six steps"
[row.claim]
value = 0.1
text = "zone MAE 0.10"
source = "nobody"
on = "nothing"
[row.arms.reproduced]
config = "{config}"
settings = {{seed = 1}}
[row.arms.honest]
config = "{config}"

[[row]]
name = "absent"
title = "A release that is not here"
metric = "auroc"
dataset = "covidgr/512"
protocol = "as it is"
level = "known elsewhere"
[row.arms.honest]
config = "configs/covidgr.py"

[[row]]
name = "weights"
title = "Needs weights"
metric = "auroc"
protocol = "as it is"
[row.arms.honest]
config = "configs/covid_external.py:weights={{weights}}"

[[row]]
name = "program"
title = "Needs a program"
metric = "auroc"
protocol = "as it is"
module = "nothing"
"""
PROGRAM = """
import pathlib, sys
from launch.results import __main__ as program, row
from tfds_builders.common import command
read = row.read
row.read = lambda: read(pathlib.Path({rows!r}))
sys.argv = ["launch.results", "--out={out}"]
command.run(program.main)
"""


@pytest.fixture
def start(tmp_path, environment):
    """start() begins the command in a process of its own."""
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG)
    (tmp_path / "rows").mkdir()
    text = ROWS.format(config=config).replace(
        "settings = {seed = 1}\n", "seeds = [1]\n"
    )
    (tmp_path / "rows" / "all.toml").write_text(text)
    code = PROGRAM.format(rows=str(tmp_path / "rows"), out=tmp_path / "out")
    begun = []

    def begin():
        begun.append(
            subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=REPOSITORY,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def test_killed_and_resumed_and_what_is_missing_is_told(start, tmp_path):
    folder = tmp_path / "out" / "full"
    first = folder / "tiny" / "reproduced" / "seed=1,fold=-1"
    process = start()
    deadline = time.monotonic() + 240
    while not (first / "results.json").exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "the first run was not finished"
        time.sleep(0.05)
    process.kill()
    process.wait()
    was = (first / "results.json").stat().st_mtime_ns

    process = start()
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    # The finished run was not run again.
    assert (first / "results.json").stat().st_mtime_ns == was
    rows = {
        each["name"]: each
        for each in json.loads((folder / "results.json").read_text())["rows"]
    }
    tiny = rows["tiny"]
    assert tiny["state"] == "measured"
    for name, seed in (("reproduced", 1), ("honest", 0)):
        run = folder / "tiny" / name / f"seed={seed},fold=-1" / "results.json"
        stored = json.loads(run.read_text())["metrics"]["test/mae_zone"]
        found = tiny["arms"][name]["metrics"]["mae_zone"]
        assert found["value"] == pytest.approx(stored["value"])
        assert found["n"] == stored["n"]
    # Films of synthetic patients have no border that gives a score away.
    assert tiny["audit"]["leaks"] == []
    assert rows["absent"]["state"] == "needs" and "--data" in rows["absent"]["reason"]
    assert "--weights" in rows["weights"]["reason"]
    assert "launch.results.nothing" in rows["program"]["reason"]
    page = (folder / "results.md").read_text()
    for name in ("A small model", "zone MAE 0.10", "known elsewhere", "| program |"):
        assert name in page
    assert (folder / "results.png").read_bytes().startswith(b"\x89PNG")


def test_two_at_once_share_the_runs(start, tmp_path):
    said = [process.communicate(timeout=400)[0] for process in [start(), start()]]
    folder = tmp_path / "out" / "full"
    for run in (folder / "tiny").glob("*/seed=*"):
        assert len((run / "attempts.jsonl").read_text().splitlines()) == 1, said
    rows = json.loads((folder / "results.json").read_text())["rows"]
    assert rows[0]["state"] == "measured", said
    assert set(rows[0]["arms"]) == {"reproduced", "honest"}


def test_a_row_that_does_not_exist_is_refused(environment):
    ended = subprocess.run(
        [sys.executable, "-m", "launch.results", "--only=quickstrt"],
        cwd=REPOSITORY,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "quickstrt" in ended.stderr and "quickstart" in ended.stderr
