"""Sweeps on a real Slurm of one node, which the tests start."""

import json
import os
import re
import subprocess

import pytest
import slurm_cluster
from places import REPOSITORY
from slurm_cluster import wait
from toy_runs import TRAIN

from launch import attempts, cancel, status, sweep

REASON = slurm_cluster.missing()
NEEDS_SLURM = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    with slurm_cluster.started(folder) as path:
        yield path


@pytest.fixture
def slurm_here(running, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(running))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    yield running.parent
    subprocess.run(["scancel", "--user=root"], check=False)
    wait(
        lambda: slurm_cluster.is_idle(dict(os.environ)), "an idle node", running.parent
    )


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def submit(config, out, parallel=2, **settings):
    text = "\n".join(f"{k} = {toml(v)}" for k, v in settings.items())
    path = config.with_name("cluster.toml")
    path.write_text(f"[slurm]\n{text}\n")
    asked = sweep.Asked(str(config), out, parallel=parallel, settings={"path": path})
    return sweep.run(asked, "slurm")


def states(out):
    return {name: at.state for name, at in status.read(out).items()}


@NEEDS_SLURM
def test_an_array_job_runs_the_sweep(config, names, out, act, slurm_here, capsys):
    act({names[1]: "print('no such film'); sys.exit(3)"})
    setup = ["test -d /tmp"]
    environment = {"WORD": "two words"}
    assert submit(config, out, setup=setup, environment=environment) == 0
    done = {name: "failed" if name == names[1] else "finished" for name in names}
    wait(lambda: states(out) == done, "the end of the runs", slurm_here)
    assert (out / names[0] / "log.txt").exists()
    wait(lambda: attempts.read(out / names[0]), "its record", slurm_here)
    assert attempts.read(out / names[0])[0].backend == "slurm"
    assert status.show(out) == 1
    shown = capsys.readouterr().out
    assert f"{names[1]}: failed, exit code 3\n" in shown
    assert "    no such film\n" in shown
    # The same command fills the hole, and nothing else is run again.
    act({})
    assert submit(config, out) == 0
    wait(lambda: set(states(out).values()) == {"finished"}, "the end", slurm_here)

    def counts():
        return [len(attempts.read(out / name)) for name in names]

    wait(lambda: counts() == [1, 2, 1, 1], "the record of the last", slurm_here)
    assert submit(config, out) == 0
    assert "nothing to submit" in capsys.readouterr().out


@NEEDS_SLURM
def test_a_preempted_run_comes_back_and_resumes(
    config, names, out, act, slurm_here, capsys
):
    act({names[0]: TRAIN.format(steps=10**6)})
    assert submit(config, out, parallel=1, cpus_per_task=2, partition="low") == 0
    wait((out / names[0] / "ready").exists, "the first run", slurm_here)
    assert states(out)[names[0]] == "running"
    assert states(out)[names[1]] == "queued"
    # What is queued is not submitted twice.
    assert submit(config, out) == 0
    assert "nothing to submit" in capsys.readouterr().out
    subprocess.run(
        ["sbatch", "--partition=high", "--cpus-per-task=2", "--output=/dev/null"]
        + ["--wrap=sleep 1"],
        check=True,
        stdout=subprocess.DEVNULL,
    )

    def begun():
        log = (out / names[0] / "log.txt").read_text()
        return [int(step) for step in re.findall(r"begins at (\d+)", log)]

    wait(lambda: len(begun()) == 2, "the run again", slurm_here, 120)
    (out / "enough").touch()
    wait(lambda: set(states(out).values()) == {"finished"}, "the end", slurm_here, 120)
    assert begun()[0] == 0 and begun()[1] > 0


@NEEDS_SLURM
@pytest.mark.slow  # Slurm looks at time limits twice a minute
def test_processes_that_reach_the_time_limit_save_and_come_back(
    config, names, out, act, slurm_here
):
    """Two processes train one model: srun starts them, and hands on the signal."""
    act({names[0]: TRAIN.format(steps=10**6)})
    assert submit(config, out, parallel=1, tasks=2, time="1", grace=50) == 0

    def begun():
        path = out / names[0] / "log.txt"
        log = path.read_text() if path.exists() else ""
        return [int(step) for step in re.findall(r"begins at (\d+)", log)]

    wait(lambda: len(begun()) == 4, "the two again", slurm_here, 240)
    (out / "enough").touch()
    wait(lambda: set(states(out).values()) == {"finished"}, "the end", slurm_here, 120)
    assert begun()[:2] == [0, 0] and min(begun()[2:]) > 0
    wait(lambda: len(attempts.read(out / names[0])) == 2, "the record", slurm_here)
    assert [each.asked for each in attempts.read(out / names[0])] == [True, False]


@NEEDS_SLURM
def test_a_cancelled_run_is_saved_and_does_not_come_back(
    config, names, out, act, slurm_here
):
    act({}, TRAIN.format(steps=10**6))
    assert submit(config, out, parallel=1) == 0
    wait((out / names[0] / "ready").exists, "the first run", slurm_here)
    assert cancel.cancel(out, [names[1]]) == 0
    assert cancel.cancel(out) == 0
    expected = dict(zip(names, ["stopped", *["waiting"] * 3], strict=True))
    wait(lambda: states(out) == expected, "the end", slurm_here)
    assert int((out / names[0] / "steps").read_text()) > 0
