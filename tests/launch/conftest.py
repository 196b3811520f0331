import pytest

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
