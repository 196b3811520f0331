"""Several processes or devices train the same model as one."""

import json
import random
import signal
import socket
import subprocess
import sys
import time

import pytest
from run_files import lines

from cxr_jax import config as config_lib
from cxr_jax.devices import processes
from tfds_builders.common.errors import InputError


@pytest.fixture
def same_losses(same_numbers):
    def check(one, other, tolerance):
        for row, expected in zip(lines(one), lines(other), strict=True):
            same_numbers(row, expected, tolerance)

    return check


@pytest.fixture
def config(tiny_config, tmp_path):
    with tiny_config.unlocked():
        tiny_config.data.residency = "disk"  # each process reads its part
    path = tmp_path / "config.json"
    path.write_text(config_lib.to_json(tiny_config))
    return path


@pytest.fixture
def pair(command, environment):
    """Starts two processes with one device each."""
    started = []

    def start(config, workdir):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        for index in range(2):
            one = subprocess.Popen(
                command(config, workdir, 1, address, 2, index),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            started.append(one)
        return started[-2:]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(pair):
    shown = [process.communicate(timeout=120)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], "\n".join(shown)
    return shown


@pytest.fixture(scope="session")
def alone(command, trained, environment, tmp_path_factory):
    """The run that all tests compare with: one process, one device."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    subprocess.run(
        command(trained / "config.json", workdir, 1),
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return workdir


def test_two_processes_train_the_same_as_one(
    same_losses, pair, config, alone, tmp_path
):
    shown = finish(pair(config, tmp_path / "pair"))
    same_losses(tmp_path / "pair", alone, 1e-5)
    assert "of 2 processes" in shown[0]
    assert "loss" not in shown[1]  # the first alone speaks
    results = [
        json.loads((w / "results.json").read_text()) for w in (tmp_path / "pair", alone)
    ]
    for name, estimate in results[1]["metrics"].items():
        if estimate["value"] is not None:
            assert results[0]["metrics"][name]["value"] == pytest.approx(
                estimate["value"], abs=1e-4
            )


def test_images_on_the_devices_of_two_processes(
    same_losses, pair, config, alone, tiny_config, tmp_path
):
    with tiny_config.unlocked():
        tiny_config.data.residency = "auto"
        tiny_config.report = True
    config.write_text(config_lib.to_json(tiny_config))
    shown = finish(pair(config, tmp_path / "pair"))
    assert "from the device" in shown[0]
    assert "report.html" in shown[0] and "report.html" not in shown[1]
    same_losses(tmp_path / "pair", alone, 1e-5)


@pytest.mark.slow
def test_a_report_on_a_phantom_does_not_keep_processes_waiting(
    pair, config, tiny_config, tmp_path
):
    """All wait for the first to draw a phantom; only the first makes the report."""
    with tiny_config.unlocked():
        tiny_config.data.phantom, tiny_config.data.data_dir = 60, ""
        tiny_config.total, tiny_config.report = "2 steps", True
        tiny_config.every.eval = tiny_config.every.checkpoint = "2 steps"
    config.write_text(config_lib.to_json(tiny_config))
    finish(pair(config, tmp_path / "pair"))
    assert (tmp_path / "pair" / "report" / "report.html").exists()


def test_eight_devices_train_the_same_as_one(
    same_losses, command, config, alone, environment, tmp_path
):
    subprocess.run(
        command(config, tmp_path / "eight", 8),
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    same_losses(tmp_path / "eight", alone, 1e-5)


@pytest.mark.slow
def test_one_process_resumes_a_run_of_two(
    pair, command, config, tiny_config, environment, tmp_path
):
    """Stopping one process saves and stops both; a single process finishes the run."""
    with tiny_config.unlocked():
        tiny_config.total = "60 steps"
        tiny_config.every.eval = "60 steps"
        tiny_config.every.checkpoint = "60 steps"
        tiny_config.every.log = "1 steps"
        tiny_config.resamples = 0
    config.write_text(config_lib.to_json(tiny_config))
    workdir = tmp_path / "pair"
    both = pair(config, workdir)
    path = workdir / "metrics.jsonl"
    while not (path.exists() and '"step": 5,' in path.read_text()):
        assert both[0].poll() is None, both[0].communicate()[0]
        time.sleep(0.02)
    both[1].send_signal(signal.SIGTERM)
    shown = finish(both)
    assert "is saved; run the same command again to resume" in shown[0]
    before = lines(workdir)
    assert len(before) < 60 and not (workdir / "results.json").exists()
    subprocess.run(
        command(config, workdir, 1),
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert lines(workdir)[: len(before)] == before
    steps = [row["step"] for row in lines(workdir) if "train/loss" in row]
    assert steps == list(range(1, 61))


def test_processes_find_each_other_through_a_scheduler(environment):
    """With the environment that Slurm sets for two tasks on one machine."""
    code = (
        "from cxr_jax.devices import processes\n"
        "processes.start()\n"
        "import jax, numpy as np\n"
        "print(processes.count(), processes.is_first(), jax.device_count(),"
        " processes.part(np.arange(6)).tolist(),"
        " processes.anywhere(not processes.is_first()),"
        " processes.from_first([0.1 + 0.2, float('nan')] if processes.is_first()"
        " else [1.0, 2.0]), processes.largest(3 - jax.process_index()))\n"
    )
    slurm = {
        "JAX_NUM_CPU_DEVICES": "1",
        "SLURM_JOB_ID": str(random.randrange(10**6)),  # it makes the port
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
    }
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={
                **environment,
                **slurm,
                "SLURM_PROCID": str(index),
                "SLURM_LOCALID": str(index),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    agreed = "True [0.30000000000000004, nan] 3"
    assert said[0][0].splitlines()[-1] == "2 True 2 [0, 1, 2] " + agreed
    assert said[1][0].splitlines()[-1] == "2 False 2 [3, 4, 5] " + agreed


def test_a_missing_scheduler_is_reported(environment):
    code = "from cxr_jax.devices import processes; processes.start()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the processes could not connect" in done.stderr


@pytest.mark.parametrize(
    "given", [("127.0.0.1:1", 0, -1), ("", 2, 0), ("127.0.0.1:1", 2, -1)]
)
def test_an_incomplete_address_is_refused(given):
    with pytest.raises(InputError, match="give all three"):
        processes.start(*given)


def test_a_single_process_is_the_first_of_one():
    assert processes.is_first() and processes.count() == 1
    assert processes.anywhere(True) and not processes.anywhere(False)
