"""What may go wrong around a run, and that nothing of it is lost or changed."""

import errno
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import pydicom
import pytest
from run_files import assert_same_run

from cxr_jax import config as config_lib
from cxr_jax.evaluation import evaluate
from cxr_jax.report import material
from cxr_jax.train import loop
from tfds_builders.build import build
from tfds_builders.common.build.builder import Options
from tfds_builders.common.errors import InputError


@pytest.fixture
def busy_config(tiny_config):
    """Saves all the time, and everything that a state can hold is in it."""
    with tiny_config.unlocked():
        tiny_config.every.eval = "50 steps"
        tiny_config.every.checkpoint = "5 steps"
        tiny_config.every.log = "7 steps"  # in step with nothing else
        tiny_config.optim.ema_decay = 0.9
        tiny_config.plateau.patience = 1
        tiny_config.model.dropout = 0.1
    return tiny_config


def newest(workdir: pathlib.Path) -> int:
    steps = [p.name for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()]
    return max(map(int, steps), default=0)


def is_saving(workdir: pathlib.Path) -> bool:
    return any((workdir / "checkpoints").glob("*orbax-checkpoint-tmp*"))


def wait_until(process, condition) -> None:
    end = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < end and not condition():
        time.sleep(0.001)


@pytest.mark.parametrize(
    "kills, steps", [(3, 180), pytest.param(20, 800, marks=pytest.mark.slow)]
)
def test_kills_change_no_bit(busy_config, start, tmp_path, kills, steps):
    """At drawn moments; every other one while a checkpoint is being written."""
    with busy_config.unlocked():
        busy_config.total = f"{steps} steps"
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    draw, during_saves = random.Random(0), 0
    for number in range(kills):
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
    assert during_saves >= kills // 4
    assert newest(broken) < steps
    for workdir in (broken, unbroken):
        process = start(busy_config, workdir)
        process.join()
        assert process.exitcode == 0
    assert_same_run(broken, unbroken, busy_config, steps)


def test_a_disk_that_is_full_while_logging_stops_the_run_with_its_checkpoint(
    trained, tiny_config, tmp_path, keep_signals, monkeypatch
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
    assert_same_run(tmp_path, trained, tiny_config, 6)


def test_a_new_version_of_the_dataset_is_refused(
    trained, tiny_config, brixia_data, tmp_path
):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(brixia_data, data)
    shutil.copytree(trained, run)
    with tiny_config.unlocked():
        tiny_config.data.data_dir = str(data)
    (run / "config.json").write_text(config_lib.to_json(tiny_config))
    (run / "results.json").unlink()  # as if it had been stopped before the end
    (folder,) = data.glob("brixia/256/*.*.*")
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps({**info, "version": "9.0.0"}))
    folder.rename(folder.with_name("9.0.0"))
    with pytest.raises(
        InputError, match=r"other data:\n  dataset: brixia/256/1[\s\S]*/9.0"
    ):
        loop.train(tiny_config, run)


def test_other_pixels_under_the_same_name_are_refused(
    brixia_data, tiny_config, tmp_path
):
    """Of a rebuild that obeys the pixels where headers contradict them."""
    release, data = tmp_path / "release", tmp_path / "data"
    shutil.copytree(brixia_data.parent / "release", release)
    for path in sorted(release.rglob("*.dcm"))[::4]:
        header = pydicom.dcmread(path)
        ends = {"MONOCHROME1": "MONOCHROME2", "MONOCHROME2": "MONOCHROME1"}
        header.PhotometricInterpretation = ends[header.PhotometricInterpretation]
        header.save_as(path)
    build("brixia/256", release, data, quiet=True)
    run = tmp_path / "run"
    with tiny_config.unlocked():
        tiny_config.data.data_dir = str(data)
    assert loop.train(tiny_config, run) == 0
    shutil.rmtree(data)
    options = Options(polarity="pixels")
    build("brixia/256", release, data, quiet=True, options=options)
    differs = r"built with --polarity: header, and now pixels\n  pixels: \w{8}, and now"
    with pytest.raises(InputError, match=differs):
        evaluate.evaluate(None, run, "brixia:test")
    with pytest.raises(InputError, match="pixels of test"):
        material.read(run)
    (run / "results.json").unlink()  # as if it had been stopped before the end
    with pytest.raises(InputError, match=differs + r"[\s\S]*pixels of train"):
        loop.train(tiny_config, run)
    shutil.rmtree(data)
    build("brixia/256", release, data, quiet=True)  # the first again
    assert loop.train(tiny_config, run) == 0


def test_clock_host_and_locale_do_not_matter(
    trained, tiny_config, tmp_path, environment
):
    """The same run in the year 2001, in another zone, with another hash seed."""
    code = (
        "import os, platform, socket, sys, time, pathlib\n"
        "real = time.time\n"
        "time.time = lambda: real() - 8e8\n"
        "socket.gethostname = platform.node = lambda: 'elsewhere'\n"
        "import jax\n"
        "jax.config.update('jax_num_cpu_devices', 2)\n"
        "from cxr_jax import config\n"
        "from cxr_jax.devices import settings\n"
        "from cxr_jax.train import loop\n"
        "settings.apply()\n"
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
    assert_same_run(trained, tmp_path / "there", tiny_config, 6)
