"""What may go wrong around a run, and that nothing of it is lost or changed."""

import errno
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from cxr_jax import config as config_lib
from cxr_jax import experiment
from cxr_jax.runs import checkpoint
from cxr_jax.train import loop
from tfds_builders.common.errors import InputError

KILLS = 20


@pytest.fixture
def busy_config(tiny_config):
    """Saves all the time, and everything that a state can hold is in it."""
    with tiny_config.unlocked():
        tiny_config.total = "800 steps"
        tiny_config.every.eval = "50 steps"
        tiny_config.every.checkpoint = "5 steps"
        tiny_config.every.log = "7 steps"  # in step with nothing else
        tiny_config.optim.ema_decay = 0.9
        tiny_config.plateau.patience = 1
        tiny_config.model.dropout = 0.1
    return tiny_config


@pytest.fixture
def start(environment, monkeypatch):
    """start(config, workdir): a training in a process that has imported all before."""
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "2")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cxr_jax.train.loop", "cxr_jax.audits.data.audit"])

    def begin(config, workdir):
        process = context.Process(target=loop.train, args=(config, workdir))
        process.start()
        return process

    return begin


def newest(workdir: pathlib.Path) -> int:
    steps = [p.name for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()]
    return max(map(int, steps), default=0)


def is_saving(workdir: pathlib.Path) -> bool:
    return any((workdir / "checkpoints").glob("*orbax-checkpoint-tmp*"))


def wait_until(process, condition) -> None:
    end = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < end and not condition():
        time.sleep(0.001)


def test_twenty_kills_change_no_bit(busy_config, start, tmp_path):
    """At drawn moments; every other one while a checkpoint is being written."""
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    draw, during_saves = random.Random(0), 0
    for number in range(KILLS):
        process, before = start(busy_config, broken), newest(broken)
        wait_until(process, lambda b=before: newest(broken) > b)
        if number % 2:
            wait_until(process, lambda: is_saving(broken))
        else:
            time.sleep(draw.uniform(0, 0.1))
        assert process.is_alive(), f"it ended by itself at step {newest(broken)}"
        process.kill()
        process.join()
        during_saves += is_saving(broken)
    assert during_saves >= KILLS // 4
    assert newest(broken) < 800
    for workdir in (broken, unbroken):
        process = start(busy_config, workdir)
        process.join()
        assert process.exitcode == 0
    exp = experiment.build(busy_config, train_examples=40)
    one, other = (
        checkpoint.restore(
            checkpoint.open_store(workdir / "checkpoints", read_only=True),
            exp.abstract_state,
        )
        for workdir in (broken, unbroken)
    )
    assert int(one[0].step) == 800
    jax.tree.map(np.testing.assert_array_equal, one[0], other[0])
    assert one[1] == other[1]
    assert timeless(broken) == timeless(unbroken)
    for name in (
        "results.json",
        "predictions/brixia-test.csv",
        "checkpoints/best.json",
    ):
        assert (broken / name).read_bytes() == (unbroken / name).read_bytes()


def timeless(workdir):
    rows = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in r.items() if k != "images_per_second"} for r in rows]


def test_a_disk_that_is_full_while_logging_stops_the_run_with_its_checkpoint(
    tiny_config, tmp_path, keep_signals, monkeypatch
):
    opened = pathlib.Path.open

    def full(path, mode="r", *arguments, **settings):
        file = opened(path, mode, *arguments, **settings)
        if path.name == "metrics.jsonl" and mode == "a" and len(rows()) >= 5:
            file.close()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return file

    def rows():
        with opened(tmp_path / "metrics.jsonl") as file:
            return file.readlines()

    monkeypatch.setattr(pathlib.Path, "open", full)
    with pytest.raises(InputError, match=r"No space left[\s\S]*GB are free there"):
        loop.train(tiny_config, tmp_path)
    monkeypatch.undo()
    assert newest(tmp_path) == 4
    assert loop.train(tiny_config, tmp_path) == 0  # there is room again
    assert loop.train(tiny_config, tmp_path.with_name("whole")) == 0
    assert timeless(tmp_path) == timeless(tmp_path.with_name("whole"))


def test_a_new_version_of_the_dataset_is_refused(
    tiny_config, brixia_data, tmp_path, keep_signals
):
    data = tmp_path / "data"
    shutil.copytree(brixia_data, data)
    run = tmp_path / "run"
    with tiny_config.unlocked():
        tiny_config.data.data_dir = str(data)
    assert loop.train(tiny_config, run) == 0
    (run / "results.json").unlink()  # as if it had been stopped before the end
    (folder,) = data.glob("brixia/256/*.*.*")
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps({**info, "version": "9.0.0"}))
    folder.rename(folder.with_name("9.0.0"))
    with pytest.raises(InputError, match=r"other data: brixia/256/1[\s\S]*/9.0"):
        loop.train(tiny_config, run)


def test_clock_host_and_locale_do_not_matter(
    tiny_config, tmp_path, environment, keep_signals
):
    """The same run in the year 2001, in another zone, with another hash seed."""
    assert loop.train(tiny_config, tmp_path / "here") == 0
    code = (
        "import os, platform, socket, sys, time, pathlib\n"
        "real = time.time\n"
        "time.time = lambda: real() - 8e8\n"
        "socket.gethostname = platform.node = lambda: 'elsewhere'\n"
        "import jax\n"
        "jax.config.update('jax_num_cpu_devices', 2)\n"
        "jax.config.update('jax_numpy_rank_promotion', 'raise')\n"
        "from cxr_jax import config\n"
        "from cxr_jax.train import loop\n"
        "sys.exit(loop.train(config.from_json(pathlib.Path(sys.argv[1])),"
        " pathlib.Path(sys.argv[2])))\n"
    )
    path = tmp_path / "config.json"
    path.write_text(config_lib.to_json(tiny_config))
    subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "there")],
        env={
            **environment,
            "TZ": "Pacific/Kiritimati",
            "LC_ALL": "C",
            "LANG": "C",
            "PYTHONHASHSEED": "7",
        },
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for name in ("results.json", "predictions/brixia-test.csv", "config.json"):
        here, there = (tmp_path / place / name for place in ("here", "there"))
        assert here.read_bytes() == there.read_bytes()
    assert timeless(tmp_path / "here") == timeless(tmp_path / "there")
