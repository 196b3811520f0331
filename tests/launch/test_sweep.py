"""Sweeps over small commands that end like runs."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from places import REPOSITORY

from cxr_jax.train.signals import listening
from launch import plan, sweep
from tfds_builders.common.errors import InputError

FINISH = "(workdir / 'results.json').write_text('{}')"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def act(monkeypatch, out):
    """act({name: code}) makes runs execute Python code; the others finish.

    `out/started` lists what was started, one name per line.
    """

    def set_code(code_of):
        def command_of(config, workdir, overrides, extra):
            code = (
                "import os, pathlib, signal, sys\n"
                f"workdir = pathlib.Path({str(workdir)!r})\n"
                f"print(workdir.name, file=open({str(out / 'started')!r}, 'a'))\n"
                + code_of.get(workdir.name, FINISH)
            )
            return [sys.executable, "-S", "-c", code]

        monkeypatch.setattr(sweep, "command_of", command_of)

    return set_code


def started(out):
    return tuple((out / "started").read_text().split())


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


def test_dry_run_prints_the_commands_and_leaves_nothing(config, out, capsys):
    assert sweep.run(str(config), out, ["--config.total=1 steps"], dry_run=True) == 0
    shown = capsys.readouterr().out
    assert shown.count("cxr_jax.main") == 4
    assert "'--config.total=1 steps'" in shown
    assert not out.exists()


def test_every_run_is_started_and_its_outcome_reported(config, names, out, act, capsys):
    # Only a run itself can tell that its folder belongs to other settings.
    for name in names[:2]:
        (out / name).mkdir(parents=True)
        (out / name / "results.json").write_text("{}")
    crash = "os.kill(os.getpid(), signal.SIGABRT)"
    act({names[0]: "", names[1]: "sys.exit(1)", names[2]: crash})
    assert sweep.run(str(config), out, [], dry_run=False) == 1
    assert started(out) == names
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        f"[1/4] {names[0]}",
        "  already finished",
        f"[2/4] {names[1]}",
        "  failed: exit code 1",
        f"[3/4] {names[2]}",
        "  failed: SIGABRT",
        f"[4/4] {names[3]}",
        "  finished",
        "",
        f"2 of 4 runs failed: {names[1]}, {names[2]}",
    ]


def test_a_finished_sweep_says_what_to_do_next(config, names, out, act, capsys):
    act({})
    assert sweep.run(str(config), out, [], dry_run=False) == 0
    shown = capsys.readouterr().out
    assert f"all 4 runs are finished: python -m launch.collect {out}" in shown
    for name, lr, seed in zip(names, (1e-3, 1e-3, 1e-2, 1e-2), (0, 1) * 2, strict=True):
        overrides = json.loads((out / name / "overrides.json").read_text())
        assert overrides == {"optim.lr": lr, "seed": seed}
    assert {path.name for path in (out / names[0]).iterdir()} == {
        "overrides.json",
        "results.json",
    }


@pytest.mark.parametrize(
    "code, expected, name",
    [
        ("sys.exit(0)", 143, "SIGTERM"),  # what a run does on SIGTERM
        ("sys.exit(130)", 130, "SIGINT"),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, "SIGTERM"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "SIGKILL"),
    ],
)
def test_a_stopped_run_ends_the_sweep(
    config, names, out, act, capsys, code, expected, name
):
    act({names[0]: "sys.exit(1)", names[1]: code})
    assert sweep.run(str(config), out, [], dry_run=False) == expected
    assert started(out) == names[:2]
    shown = capsys.readouterr().out
    assert f"1 of 2 runs failed: {names[0]}" in shown
    assert f"{name}: stopped at run 2 of 4, {names[1]}; run the same command" in shown
    assert "are finished" not in shown


def test_the_sweep_restores_signal_handlers(config, out, act):
    act({})
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    sweep.run(str(config), out, [], dry_run=False)
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before


# Counts what it gets, "saves" a while later, and leaves with 0, as a run does.
SLOW = """
import pathlib, signal, sys, time
workdir = pathlib.Path(next(a for a in sys.argv if "workdir" in a).split("=", 1)[1])
got = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda n, _: got.append(signal.Signals(n).name))
(workdir / "ready").touch()
for _ in range(600):
    time.sleep(0.05)
    if got:
        time.sleep(0.5)
        (workdir / "saved").write_text(" ".join(got))
        sys.exit(130 if got[0] == "SIGINT" else 0)
"""


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize(
    "number, passed_on, code",
    [
        (signal.SIGTERM, "SIGTERM", 143),
        (signal.SIGINT, "SIGINT", 130),
        (signal.SIGHUP, "SIGTERM", 129),
    ],
)
def test_a_signal_to_the_sweep_reaches_the_run_once(
    config, names, out, tmp_path, number, passed_on, code, whole_group
):
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW)
    program = (
        "import pathlib, signal, sys\n"
        "from launch import sweep\n"
        # Started in the background, a test run may have inherited 'ignore'.
        "for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
        "    signal.signal(n, signal.SIG_DFL)\n"
        "former = sweep.command_of\n"
        "sweep.command_of = lambda *a: "
        f"[sys.executable, '-S', {str(slow)!r}, *former(*a)[3:]]\n"
        f"sys.exit(sweep.run({str(config)!r}, pathlib.Path({str(out)!r}), [], False))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (out / names[0] / "ready").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        # A terminal's Ctrl-C goes to the whole group, a scheduler's often to one.
        (os.killpg if whole_group else os.kill)(process.pid, number)
        shown, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert (out / names[0] / "saved").read_text() == passed_on
    assert f"stopped at run 1 of 4, {names[0]}" in shown
    assert not (out / names[1]).exists()


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
    ],
)
def test_overrides_for_all_runs_must_not_change_the_sweep(config, out, extra, message):
    with pytest.raises(InputError, match=message):
        sweep.run(str(config), out, ["--config.total=1steps", extra], dry_run=False)
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
        (["launch.sweep", "x.py"], "--workdir must have a value"),
        (["launch.sweep", "--workdir=r"], "does not name a config"),
        (["launch.sweep", "x.py", "--workdir=r", "--config.seed=1"], "come last: -- "),
        (["launch.collect", "r", "--metric=a"], "Unknown command line flag 'metric'"),
        (["launch.collect"], "one folder is needed"),
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


FINISH_ALL = (
    "import json, pathlib, sys\n"
    "path = pathlib.Path(sys.argv[1].removeprefix('--members='))\n"
    "for name, overrides in json.loads(path.read_text()).items():\n"
    "    (path.parent / name).mkdir()\n"
    "    (path.parent / name / 'results.json').write_text(json.dumps(overrides))\n"
)


@pytest.mark.parametrize(
    "code, expected, said",
    [
        (FINISH_ALL, 0, "all 4 runs are finished"),
        ("import sys; sys.exit(1)", 1, "the members failed: exit code 1"),
        (
            "import sys; sys.exit(0)",
            143,
            "SIGTERM: stopped; run the same command again",
        ),
    ],
)
def test_runs_as_members_of_one_program(
    config, names, out, monkeypatch, capsys, code, expected, said
):
    monkeypatch.setattr(
        sweep, "command_of", lambda *_: [sys.executable, "-S", "-c", code]
    )
    assert sweep.run_together(str(config), out, [], dry_run=False) == expected
    assert said in capsys.readouterr().out
    overrides = json.loads((out / "members.json").read_text())
    assert tuple(overrides) == names
    for name in names if not expected else ():
        # What the program was told is what the sweep file says.
        written = json.loads((out / name / "results.json").read_text())
        assert (
            written
            == overrides[name]
            == dict(plan.load(str(config))[names.index(name)].overrides)
        )


def test_the_command_of_members(config, out, capsys):
    extra = ["--config.total=1 steps"]
    assert sweep.run_together(str(config), out, extra, dry_run=True) == 0
    shown = capsys.readouterr().out
    assert shown.count("cxr_jax.main") == 1
    assert f"--workdir={out}" in shown and f"--members={out}/members.json" in shown
    assert not out.exists()
