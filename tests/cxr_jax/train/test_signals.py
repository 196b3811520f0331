"""SIGINT and SIGTERM at any moment of a training, from the start of its process on."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from cxr_jax.train import signals

REPOSITORY = pathlib.Path(__file__).parents[3]

# Seconds to end in; the machines of CI have other things to do as well.
_PATIENCE = 30


@pytest.fixture
def command(tmp_path):
    return [
        sys.executable,
        "-m",
        "cxr_jax.main",
        f"--config={REPOSITORY / 'configs' / 'quickstart.py'}",
        f"--workdir={tmp_path / 'run'}",
        "--config.data.phantom=60",
        "--config.total=100000 steps",
    ]


def catches(process: subprocess.Popen, number: int) -> bool:
    """The process has a handler for the signal."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    (mask,) = [line.split()[1] for line in status.splitlines() if "SigCgt" in line]
    return bool(int(mask, 16) >> (number - 1) & 1)


def stop_after(command, seconds: float, number: signal.Signals):
    """-> (exit code, what it said, seconds it took, was it ready for the signal?)"""
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        time.sleep(seconds)
        # Python itself takes SIGINT: only its handler of SIGTERM tells that ours are in.
        ready = catches(process, signal.SIGTERM)
        sent = time.monotonic()
        process.send_signal(number)
        # Waits until the last child that holds the pipe is gone too.
        said, _ = process.communicate(timeout=_PATIENCE)
        return process.returncode, said, time.monotonic() - sent, ready
    finally:
        process.kill()
        process.wait()


def _expected(number: signal.Signals, ready: bool) -> tuple[int, ...]:
    if not ready:  # Python is still starting
        return (-number, 130 if number == signal.SIGINT else -number)
    return (130,) if number == signal.SIGINT else (0,)


@pytest.mark.parametrize(
    "count",
    [3, pytest.param(24, marks=pytest.mark.slow)],
)
def test_a_signal_at_any_moment_ends_a_training(command, count):
    draw = random.Random(count)
    # Each moment in its own part of the first 8 s.
    moments = [8 * (i + draw.random()) / count for i in range(count)]
    faults = []
    for index, seconds in enumerate(moments):
        number = (signal.SIGINT, signal.SIGTERM)[index % 2]
        code, said, took, ready = stop_after(command, seconds, number)
        print(f"{number.name} after {seconds:.2f} s: {code} within {took:.2f} s")
        is_told = f"{number.name}: " in said and "resume" in said
        if code not in _expected(number, ready) or (
            ready and (not is_told or "Traceback" in said)
        ):
            faults.append((number.name, seconds, code, said[-500:]))
    assert not faults


def test_a_second_ctrl_c_ends_while_the_first_is_being_obeyed():
    code = (
        "import os, signal, sys, time\n"
        "from cxr_jax.train import signals\n"
        "signals.begin([])\n"
        "with signals.listening(held=False) as stop:\n"
        "    stop.hold()\n"
        "    print('held', flush=True)\n"
        "    while not stop.received: time.sleep(0.01)\n"
        "    print('asked', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=REPOSITORY, text=True
    )
    try:
        for line in ("held\n", "asked\n"):
            assert process.stdout.readline() == line
            process.send_signal(signal.SIGINT)
        assert process.wait(_PATIENCE) in (130, -signal.SIGINT)
    finally:
        process.kill()
        process.stdout.close()


def test_children_end_with_the_process():
    code = (
        "import subprocess, sys\n"
        "from cxr_jax.train import signals\n"
        "signals.begin(['--mode=eval'])\n"
        "child = 'import time; print(1, flush=True); time.sleep(60)'\n"
        "subprocess.run([sys.executable, '-c', child])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    try:
        assert process.stdout.readline() == b"1\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b""  # until the child's end of the pipe closes
        assert process.wait(_PATIENCE) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.stdout.close()


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--workdir=a"], True),
        (["--mode=train"], True),
        (["--mode", "train"], True),
        (["--mode=eval", "--workdir=a"], False),
        (["-mode", "report"], False),
    ],
)
def test_only_a_training_ends_with_0(arguments, expected):
    assert signals._is_training(arguments) == expected


@pytest.mark.parametrize("is_training, code", [(True, 0), (False, 143)])
def test_a_run_ends_with_its_launcher(is_training, code):
    """However that ends: nothing but the end of a pipe is left of it."""
    mode = "train" if is_training else "eval"
    program = (
        "import os, time\n"
        "from cxr_jax.train import signals\n"
        f"signals.begin(['--mode={mode}'])\n"
        # A child of its own must not take another descriptor for the pipe.
        f"assert {signals.LAUNCHER!r} not in os.environ\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)"
    )
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={**os.environ, signals.LAUNCHER: str(read)},
        pass_fds=[read],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        assert process.poll() is None
        os.close(write)
        _, said = process.communicate(timeout=_PATIENCE)
        assert process.returncode == code
        assert said.startswith("SIGTERM: stopped")
    finally:
        process.kill()
        os.close(read)


@pytest.mark.parametrize("text", ["", "x", "99999"])
def test_a_variable_that_names_no_pipe_ends_nothing(text):
    program = (
        "import time\n"
        "from cxr_jax.train import signals\n"
        "signals.begin()\n"
        "time.sleep(0.2)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={**os.environ, signals.LAUNCHER: text},
        check=False,
    )
    assert done.returncode == 0
