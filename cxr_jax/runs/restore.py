"""A trained model, opened where its run left it."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from cxr_jax import experiment
from cxr_jax.data import roles
from cxr_jax.data.split import Split
from cxr_jax.evaluation import evaluators
from cxr_jax.runs import checkpoint
from cxr_jax.state import TrainState


class Trained(NamedTuple):
    """The checkpoint of a run that was best on val.

    Attributes:
      exp: of the run.
      state: restored.
      eval_step: of `evaluators.compile_step`.
      best: step, metric, value and decision of that evaluation.
    """

    exp: experiment.Experiment
    state: TrainState
    eval_step: Any
    best: dict[str, Any]


def load(workdir: pathlib.Path, config: ConfigDict, split: Split) -> Trained:
    """Restores it.

    Args:
      workdir: of the run.
      config: of the run, changed at most where `--mode=eval` lets it.
      split: of pictures like those it will be shown.

    Raises:
      InputError: the run has no evaluation behind it, or its checkpoint is damaged.
    """
    best = checkpoint.read_best(workdir / "checkpoints")
    # No shape depends on the length of the training, nor on class weights.
    exp = experiment.build(
        config, train_examples=split.size, image_dtype=roles.image_dtype(split)
    )
    store = checkpoint.open_store(workdir / "checkpoints", read_only=True)
    state, _ = checkpoint.restore(store, exp.abstract_state, best["step"])
    return Trained(exp, state, evaluators.compile_step(exp), best)
