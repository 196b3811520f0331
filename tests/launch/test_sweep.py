"""Sweeps over small commands that end like runs."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
from places import REPOSITORY

from cxr_jax.runs import own_digest
from cxr_jax.train.signals import listening
from launch import attempts, cancel, claim, jobs, plan, register, sweep
from tfds_builders.common.errors import InputError


def run_sweep(config, out, *extra, backend="local", **changes):
    return sweep.run(sweep.Asked(str(config), out, extra, **changes), backend)


def test_command_is_what_a_person_would_type(config):
    run = plan.load(str(config))[0]
    command = jobs.command_of(
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


@pytest.mark.parametrize("backend, count", [("local", 4), ("members", 1)])
def test_dry_run_prints_the_commands_and_leaves_nothing(
    config, out, capsys, backend, count
):
    extra = "--config.total=1 steps"
    assert run_sweep(config, out, extra, backend=backend, dry_run=True) == 0
    shown = capsys.readouterr().out
    assert shown.count("cxr_jax.main") == count
    assert f"'{extra}'" in shown
    assert not out.exists()


@pytest.mark.parametrize("parallel", [1, 3])
def test_every_run_is_started_once_and_its_outcome_reported(
    config, names, out, act, started, capsys, parallel
):
    crash = "print('no such film'); os.kill(os.getpid(), signal.SIGABRT)"
    act({names[0]: "sys.exit(3)", names[2]: crash})
    assert run_sweep(config, out, parallel=parallel) == 1
    assert sorted(started()) == sorted(names)
    shown = capsys.readouterr().out
    assert f"{names[0]}: failed, exit code 3\n" in shown
    assert f"{names[2]}: failed, crashed with SIGABRT\n" in shown
    assert "    no such film\n" in shown
    assert "2 failed, 2 finished of 4 runs" in shown
    # The same command fills the holes, and nothing else is run again.
    act({})
    assert run_sweep(config, out, parallel=parallel) == 0
    assert sorted(started()) == sorted([*names, names[0], names[2]])
    assert f"python -m launch.collect {out}" in capsys.readouterr().out
    assert run_sweep(config, out) == 0
    assert len(started()) == 6


def test_what_a_run_leaves_for_its_readers(config, names, out, act):
    act({})
    assert run_sweep(config, out) == 0
    for name, lr, seed in zip(names, (1e-3, 1e-3, 1e-2, 1e-2), (0, 1) * 2, strict=True):
        overrides = json.loads((out / name / "overrides.json").read_text())
        assert overrides == {"optim.lr": lr, "seed": seed}
        (attempt,) = attempts.read(out / name)
        assert attempt.code == 0 and attempt.seconds > 0 and attempt.peak_mb > 0
        assert (out / name / "log.txt").exists()


def test_a_run_that_is_stopped_by_itself_does_not_stop_the_others(
    config, names, out, act, started, capsys
):
    act({names[0]: "os.kill(os.getpid(), signal.SIGTERM)", names[1]: "sys.exit(0)"})
    assert run_sweep(config, out) == 1
    assert started() == list(names)
    assert "2 stopped, 2 finished of 4 runs" in capsys.readouterr().out


def test_a_killed_run_is_a_failure(config, names, out, act, capsys):
    act({names[0]: "os.kill(os.getpid(), signal.SIGKILL)"})
    assert run_sweep(config, out) == 1
    assert "killed by SIGKILL (often: out of memory)" in capsys.readouterr().out


def test_a_result_that_was_edited_is_not_a_result(
    config, names, out, act, started, capsys
):
    act({})
    assert run_sweep(config, out) == 0
    path = out / names[1] / "results.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "metrics": {}}))
    assert run_sweep(config, out) == 1
    assert started() == list(names)
    shown = capsys.readouterr().out
    assert f"{names[1]}: damaged, results.json was edited" in shown
    assert "1 damaged, 3 finished of 4 runs" in shown


def test_the_same_config_is_run_once(config, names, out, act, started, capsys):
    """Within a sweep, across sweeps in one folder, and whatever it is called."""

    def keep(run):
        path = out / run.folder / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(run.config))

    act({})
    for run in plan.load(str(config)):
        keep(run)
    assert run_sweep(config, out) == 0
    other = config.with_name("other.py")
    text = config.read_text().partition("def sweep")[0]
    other.write_text(
        text + "def sweep(add):\n"
        "    add({'seed': 1, 'optim.lr': 1e-2})\n"
        "    add({'seed': 1, 'optim.lr': 0.01, 'batch_size': get_config().batch_size})\n"
        "    add({'seed': 7})\n"
        "    add({'seed': 7, 'task.label_noise': 0.0})\n"
    )
    assert run_sweep(other, out) == 0
    assert started() == [*names, "seed=7"]
    shown = capsys.readouterr().err
    assert f"seed=1,lr=0.01 has the config of {names[3]}" in shown
    assert json.loads((out / names[3] / "overrides.json").read_text()) == {
        "optim.lr": 0.01,
        "seed": 1,
    }
    # Another length is another config, whose run refuses the folder.
    act({}, "sys.exit('belongs to another config')")
    assert run_sweep(config, out, "--config.total=3 steps") == 1
    assert started() == [*names, "seed=7", *names]


def test_the_sweep_restores_signal_handlers(config, out, act):
    act({})
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    run_sweep(config, out)
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before


def test_ignored_signals_stay_ignored():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening(patient=True) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert stop.received == []
    finally:
        signal.signal(signal.SIGHUP, former)


@pytest.mark.parametrize(
    "extra, message",
    [
        ("--config.seed=5", "the sweep itself sets this key"),
        ("--workdir=elsewhere", "is not an override"),
        ("--mode=eval", "is not an override"),
        ("seed=5", "is not an override"),
        ("--config.sede=5", "sede"),
        ("--config.batch_size=x", "batch_size"),
    ],
)
def test_overrides_for_all_runs_must_not_change_the_sweep(config, out, extra, message):
    with pytest.raises(InputError, match=message):
        run_sweep(config, out, "--config.total=1steps", extra)
    assert not out.exists()


def run(arguments, cwd=REPOSITORY, **environment):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["launch.sweep", "x.py", "--workdr=r"], "Unknown command line flag 'workdr'"),
        (["launch.sweep", "x.py"], "--workdir: is not given"),
        (["launch.sweep", "loss.py", "--workdir=r", "--time=1"], "--time: belongs to"),
        (["launch.sweep", "--workdir=r"], "does not name a config"),
        (["launch.sweep", "x.py", "--workdir=r", "--config.seed=1"], "come last: -- "),
        (["launch.sweep", "x.py", "--workdir=r", "--parallel=0"], "--parallel: is 0"),
        (["launch.collect", "r", "--metric=a"], "Unknown command line flag 'metric'"),
        (["launch.collect"], "one folder is needed"),
        (["launch.status"], "one folder is needed"),
        (["launch.status", "/nowhere"], "/nowhere: there is no such folder"),
        (["launch.cancel"], "a folder is needed"),
        (["launch.cancel", "docs"], "docs: holds no sweep"),
    ],
)
def test_a_mistyped_command_is_one_error(arguments, message):
    done = run(arguments)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error: ")
    assert message in done.stderr
    assert "FATAL" not in done.stderr and "Traceback" not in done.stderr


def test_tilde_is_the_home_folder(config, out, tmp_path):
    dry = ["launch.sweep", str(config), "--workdir=~/runs", "--dry_run"]
    assert f"--workdir={tmp_path}/runs/lr" in run(dry, HOME=str(tmp_path)).stdout
    done = run(["launch.collect", "~/runs"], HOME=str(tmp_path))
    assert f"error: {tmp_path}/runs: there is no such folder" in done.stderr


def test_a_sweep_file_without_its_imports_is_one_error(config, tmp_path):
    config.write_text("import nowhere_to_be_found\n" + config.read_text())
    done = run(["launch.sweep", str(config), "--workdir=r", "--dry_run"])
    assert done.returncode == 1
    assert "No module named 'nowhere_to_be_found'" in done.stderr
    assert "Traceback" not in done.stderr


# --- members


def members_of(config, out):
    """{name: overrides} of the one job in which all runs share a program."""
    return json.loads((out / "lr=0.001,seed=0" / "members.json").read_text())


FINISH_ALL = """
root = workdir
for name in json.loads((root / "lr=0.001,seed=0/members.json").read_text()):
    workdir = root / name
    finish()
"""


@pytest.mark.parametrize(
    "code, expected, said",
    [
        (FINISH_ALL, 0, "all 4 runs are finished"),
        ("sys.exit(1)", 1, "4 failed of 4 runs"),
        ("sys.exit(0)", 1, "4 stopped of 4 runs"),
    ],
)
def test_runs_as_members_of_one_program(
    config, names, out, act, capsys, code, expected, said
):
    act({"out": code})
    assert run_sweep(config, out, backend="members") == expected
    assert said in capsys.readouterr().out
    runs = plan.load(str(config))
    assert members_of(config, out) == {run.name: run.overrides for run in runs}
    shares = {attempts.read(out / name)[0].seconds for name in names}
    assert len(shares) == 1


def test_members_that_are_finished_are_left_out(config, names, out, act):
    act({"out": FINISH_ALL})
    (out / names[2]).mkdir(parents=True)
    (out / names[2] / "results.json").write_text(json.dumps(own_digest.seal({})))
    assert run_sweep(config, out, backend="members") == 0
    assert set(members_of(config, out)) == set(names) - {names[2]}
    assert attempts.read(out / names[2]) == []


def test_a_run_of_another_user_is_left_and_named(config, out, act, monkeypatch):
    act({})
    assert run_sweep(config, out) == 0
    first, *_ = register.read(out)
    who = {"host": socket.gethostname(), "launcher": 4, "pid": 5}
    held = {first.digest: who}
    monkeypatch.setattr(claim, "holder", lambda folder, digest: held.get(digest))

    def refuse(pid, number):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    said = cancel._local(out, register.read(out), whole=True)
    assert said == [f"{first.name}: belongs to another user, who has to cancel it"]
