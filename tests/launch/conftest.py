import sys

import pytest
from toy_runs import BEGIN

from launch import jobs

SWEEP = """
from cxr_jax.configs import quickstart
def get_config(arg=None):
    config = quickstart.get_config()
    config.report = False
    return config
def sweep(add):
    for lr in (1e-3, 1e-2):
        for seed in (0, 1):
            add({"optim.lr": lr, "seed": seed})
"""
NAMES = ("lr=0.001,seed=0", "lr=0.001,seed=1", "lr=0.01,seed=0", "lr=0.01,seed=1")


@pytest.fixture
def names():
    """Names of the four runs of `config`, in order."""
    return NAMES


@pytest.fixture
def config(tmp_path):
    """A sweep file with four runs."""
    path = tmp_path / "question.py"
    path.write_text(SWEEP)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def act(monkeypatch):
    """act({name: code}, default) makes runs execute Python code instead of training.

    `started` in the folder of the sweep lists what was started, one name a line.
    """

    def set_code(code_of, default="finish()"):
        def command_of(config, workdir, overrides, extra):
            code = code_of.get(workdir.name, default)
            program = BEGIN.format(workdir=str(workdir)) + code
            return [sys.executable, "-S", "-c", program]

        monkeypatch.setattr(jobs, "command_of", command_of)

    return set_code


@pytest.fixture
def started(out):
    """The names in the order in which they were started."""

    def read():
        path = out / "started"
        return path.read_text().split() if path.exists() else []

    return read
