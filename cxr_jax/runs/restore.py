"""A trained model, opened where its run left it."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from cxr_jax import experiment
from cxr_jax.data import roles
from cxr_jax.data.source import Split
from cxr_jax.evaluation import evaluators
from cxr_jax.runs import checkpoint
from cxr_jax.state import TrainState

# No shape depends on the length of the training.
_ANY_LENGTH = 1_000_000


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


def load(
    workdir: pathlib.Path, config: ConfigDict, split: Split | None = None
) -> Trained:
    """Restores it.

    Args:
      workdir: of the run.
      config: of the run, changed at most where `--mode=eval` lets it.
      split: of images like those it will be shown, where there is one.

    Raises:
      InputError: the run has no evaluation behind it, or its checkpoint is damaged.
    """
    best = checkpoint.read_best(workdir / "checkpoints")
    # No shape depends on class weights either.
    examples = {"train_examples": _ANY_LENGTH}
    if split is not None:
        examples |= {"image_dtype": roles.image_dtype(split)}
    exp = experiment.build(config, **examples)
    store = checkpoint.open_store(workdir / "checkpoints", read_only=True)
    state, _ = checkpoint.restore(store, exp.abstract_state, best["step"])
    return Trained(exp, state, evaluators.compile_step(exp), best)
