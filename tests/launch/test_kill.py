"""Signals and kills: nothing is lost, and no run goes on that nobody sees."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from places import REPOSITORY
from toy_runs import BEGIN, TRAIN

# Puts toys in place of trainings, and gives the signals their meaning: started in the
# background, a test run may have inherited 'ignore'.
PROGRAM = """
import pathlib, signal, sys
from launch import jobs, sweep
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
begin, train = {toy!r}
jobs.command_of = lambda config, workdir, overrides, extra: [
    sys.executable, "-S", "-c", begin.format(workdir=str(workdir)) + train
]
asked = sweep.Asked({config!r}, pathlib.Path({out!r}), parallel=2)
sys.exit(sweep.run(asked))
"""
ENDLESS = TRAIN.format(steps=10**6)
STUBBORN = ENDLESS.replace("sys.exit(130", "time.sleep(600); sys.exit(130")


def until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def launch(config, out):
    """launch(train) starts a launcher; whatever is left of it is killed at the end."""
    begun = []

    def start(train=ENDLESS):
        toy = BEGIN, train
        code = PROGRAM.format(toy=toy, config=str(config), out=str(out))
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        for child in children(process):
            child.kill()
        process.kill()
        process.wait()


def children(process):
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def two_are_running(out, names):
    return all((out / name / "ready").exists() for name in names[:2])


@pytest.mark.parametrize(
    "number, code, whole_group",
    [
        (signal.SIGTERM, 143, False),
        (signal.SIGINT, 130, True),
        (signal.SIGHUP, 129, True),
    ],
)
def test_one_signal_and_all_save(launch, names, out, number, code, whole_group):
    process = launch()
    until(lambda: two_are_running(out, names), "two runs")
    # A terminal's Ctrl-C goes to the whole group, a scheduler's often to one.
    (os.killpg if whole_group else os.kill)(process.pid, number)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert all(int((out / name / "steps").read_text()) for name in names[:2])
    assert not (out / names[2]).exists()
    assert "2 stopped, 2 waiting of 4 runs" in shown
    assert f"{number.name}: stopped; run the same command again" in shown
    # The same command resumes.
    (out / "enough").touch()
    process = launch()
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    for name in names[:2]:
        log = (out / name / "log.txt").read_text()
        assert f"begins at {(out / name / 'steps').read_text()}\n" in log


def test_a_second_interrupt_kills(launch, names, out):
    process = launch(STUBBORN)
    until(lambda: two_are_running(out, names), "two runs")
    process.send_signal(signal.SIGINT)
    until(lambda: (out / names[0] / "steps").exists(), "the first signal")
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "second Ctrl-C: killing the runs" in shown and "2 stopped" in shown


@pytest.mark.parametrize("who", ["launcher", "runs", "both"])
def test_kill_9_loses_nothing_and_leaves_nobody(launch, names, out, who):
    process = launch()
    until(lambda: two_are_running(out, names), "two runs")
    runs = children(process)
    assert len(runs) == 2
    if who in ("launcher", "both"):
        process.kill()
    if who in ("runs", "both"):
        for each in runs:
            each.kill()
    if who == "runs":
        (out / "enough").touch()  # the launcher goes on with the others
        shown, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "killed by SIGKILL" in shown and "2 finished of 4 runs" in shown
    _, alive = psutil.wait_procs(runs, timeout=30)
    assert not alive
    if who == "launcher":  # its runs noticed, and saved
        assert all(int((out / name / "steps").read_text()) for name in names[:2])
    (out / "enough").touch()
    process = launch()
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown


def test_two_launchers_in_one_folder_run_no_run_twice(launch, names, out):
    first, second = launch(), launch()
    until(lambda: sum((out / n / "ready").exists() for n in names) == 4, "four runs")
    (out / "enough").touch()
    for process in (first, second):
        shown, _ = process.communicate(timeout=60)
        assert process.returncode == 0, shown
        assert "all 4 runs are finished" in shown
    assert sorted((out / "started").read_text().split()) == sorted(names)


def test_a_second_launcher_takes_over_from_one_that_was_killed(launch, names, out):
    first = launch()
    until(lambda: two_are_running(out, names), "two runs")
    second = launch()
    until(lambda: (out / names[3] / "ready").exists(), "the other two")
    first.kill()
    until(lambda: all((out / n / "steps").exists() for n in names[:2]), "saved")
    (out / "enough").touch()
    shown, _ = second.communicate(timeout=60)
    assert second.returncode == 0, shown
    assert f"{names[0]}: another process has it" in shown


def test_cancel_stops_one_run_or_all(launch, names, out):
    process = launch()
    until(lambda: two_are_running(out, names), "two runs")

    def cancel(*chosen):
        return subprocess.run(
            [sys.executable, "-m", "launch.cancel", str(out), *chosen],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )

    assert f"{names[0]}: saves and stops" in cancel(names[0]).stdout
    until(lambda: (out / names[0] / "steps").exists(), "the one")
    until(lambda: (out / names[2] / "ready").exists(), "the next")
    assert "is not a run of" in cancel("nobody").stderr
    assert f"{names[2]}: saves and stops" in cancel().stdout
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "3 stopped, 1 waiting of 4 runs" in shown
    assert "nothing is running" in cancel().stdout
