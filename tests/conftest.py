"""Shared by all tests: two CPU devices, a compilation cache, one small dataset."""

import contextlib
import os
import pathlib
import signal
import sys

import jax
import pytest
from absl import flags
from browser import opened_browser
from places import REPOSITORY

from cxr_jax.devices import compiled

# Two devices, so that every test that trains also tests the sharding.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
# As the commands keep it, so that these find what was compiled here, and the reverse.
compiled.use(REPOSITORY / ".jax_cache")
flags.FLAGS.mark_as_parsed()


# The longest tests begin first, or one of them would run alone at the end.
LONGEST = (
    "devices/test_processes.py",
    "cxr_jax/test_main.py",
    "train/test_loop.py",
    "models/test_models.py",
    "tests/test_configs.py",
    "models/test_bsnet.py",
    "tests/test_wheel.py",
)


def pytest_collection_modifyitems(items):
    """Runs the files of LONGEST first, in order."""

    def place(item):
        path = item.path.as_posix()
        found = [i for i, end in enumerate(LONGEST) if path.endswith("/" + end)]
        return found[0] if found else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def brixia_data(tmp_path_factory) -> pathlib.Path:
    """data_dir of a prepared phantom 'brixia/256' of 60 images, 96 px."""
    from tfds_builders.build import build
    from tfds_builders.phantom import write_release

    folder = tmp_path_factory.mktemp("brixia")
    write_release("brixia", folder / "release", 60, size=96)
    build("brixia/256", folder / "release", folder / "data", quiet=True)
    return folder / "data"


@pytest.fixture(scope="session")
def covidgr_data(tmp_path_factory) -> pathlib.Path:
    """data_dir of a prepared phantom 'covidgr/256' of 60 images, 96 px."""
    from tfds_builders.build import build
    from tfds_builders.phantom import write_release

    folder = tmp_path_factory.mktemp("covidgr")
    write_release("covidgr", folder / "release", 60, size=96)
    build("covidgr/256", folder / "release", folder / "data", quiet=True)
    return folder / "data"


def small_config(data_dir):
    """Six steps of a small CNN on the small dataset; locked, as if from flags."""
    from configs import quickstart

    config = quickstart.get_config()
    config.data.phantom = 0
    config.data.data_dir = str(data_dir)
    config.data.size = 48
    config.batch_size = 8
    config.total = "6 steps"
    config.model.widths = (4, 8)
    config.model.stem_stride = 1
    # Not affine: a third of the time to compile a step of this small model.
    config.preprocess.train = "to_float|brightness(0.2)|flip_lr|standardise"
    config.preprocess.eval = "to_float|standardise"
    config.every.eval = "3 steps"
    config.every.checkpoint = "2 steps"
    config.every.log = "1 steps"
    config.resamples = 20
    config.report = False
    return config.lock()


@pytest.fixture
def tiny_config(brixia_data):
    """`small_config`, unlocked for the test to change."""
    return small_config(brixia_data)


@pytest.fixture(scope="session")
def trained(brixia_data, tmp_path_factory) -> pathlib.Path:
    """A finished run of `small_config`, trained once; copy it before changing it."""
    from cxr_jax.train import loop

    workdir = tmp_path_factory.mktemp("trained") / "run"
    with _signals_kept():
        assert loop.train(small_config(brixia_data), workdir) == 0
    return workdir


@pytest.fixture(scope="session")
def bundle_of_trained(trained, tmp_path_factory) -> pathlib.Path:
    """The bundle of `trained`, exported once; copy it before changing it."""
    from cxr_jax.export import bundling

    output = tmp_path_factory.mktemp("exported") / "bundle"
    assert bundling.export(trained, output, with_gate=True) == 0
    return output


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Environment of commands run as a user would, with our compilation cache."""
    return {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(REPOSITORY / ".jax_cache"),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture(scope="session")
def command():
    """command(config.json, workdir, devices, *process): a run, as a process of its own.

    process: arguments of `processes.start`, ('127.0.0.1:9876', 2, 0), if one of several.
    """
    code = (
        "import sys, pathlib, jax\n"
        "jax.config.update('jax_num_cpu_devices', int(sys.argv[3]))\n"
        "from cxr_jax import config, main\n"
        "from cxr_jax.devices import processes, settings\n"
        "from cxr_jax.train import loop\n"
        "settings.apply()\n"
        "if sys.argv[4:]:\n"
        "    processes.start(sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))\n"
        "sys.exit(loop.train(config.from_json(pathlib.Path(sys.argv[1])),"
        " pathlib.Path(sys.argv[2]), report=main.write_report))\n"
    )

    def make(config, workdir, devices=2, *process):
        arguments = [config, workdir, devices, *process]
        return [sys.executable, "-c", code, *map(str, arguments)]

    return make


@pytest.fixture(scope="module")
def browser():
    """A headless browser. Playwright opens one at a time, and its loop of events must
    not go on beside what others run."""
    with opened_browser() as opened:
        yield opened


@pytest.fixture
def keep_signals():
    """Restores the signal handlers, which train() replaces."""
    with _signals_kept():
        yield


@contextlib.contextmanager
def _signals_kept():
    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
