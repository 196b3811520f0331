"""Weights of one of our own runs: the checkpoint that was best on val."""

from __future__ import annotations

import pathlib

import jax
import numpy as np

from cxr_jax import config as config_lib
from cxr_jax import trees
from cxr_jax.runs import checkpoint
from cxr_jax.state import evaluation_variables
from cxr_jax.weights.source import Source

# No shape depends on the length of the training.
_ANY_LENGTH = 1_000_000


def read(folder: pathlib.Path) -> Source:
    """The variables that the run is evaluated with: its moving average where kept.

    Raises:
      InputError: the folder holds no run, or one that has no evaluation behind it.
    """
    from cxr_jax import experiment  # which imports this package

    config = config_lib.from_json(folder / "config.json")
    best = checkpoint.read_best(folder / "checkpoints")
    exp = experiment.build(config, train_examples=_ANY_LENGTH)
    store = checkpoint.open_store(folder / "checkpoints", read_only=True)
    state, _ = checkpoint.restore(store, exp.abstract_state, best["step"])
    named = trees.by_name(evaluation_variables(state))
    arrays = {name: np.asarray(jax.device_get(leaf)) for name, leaf in named.items()}
    return Source(folder, "ours", arrays, "", config)
