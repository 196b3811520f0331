"""A trained model, opened where its run left it, and what a new run begins with."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import experiment, trees
from cxr_jax.data import roles
from cxr_jax.data.split import Split
from cxr_jax.devices import known_answers
from cxr_jax.runs import best as best_lib
from cxr_jax.runs import digest, results_file, saved
from cxr_jax.state import TrainState, evaluation_variables
from cxr_jax.weights import foreign, init_from, source
from cxr_jax.weights.source import Source
from tfds_builders.common import places

# No shape depends on the length of the training.
_ANY_LENGTH = 1_000_000


class Trained(NamedTuple):
    """The checkpoint of a run that was best on val.

    Attributes:
      exp: of the run.
      state: restored; `opt_state` is None.
      eval_step: of `Experiment.compile_eval_step`.
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
    known_answers.require()
    results_file.check_finished(workdir)
    best = best_lib.read(workdir / "checkpoints")
    exp = built(config, split)
    state = _state(workdir, exp, best)
    return Trained(exp, state, exp.compile_eval_step(), best)


def built(config: ConfigDict, split: Split | None = None) -> experiment.Experiment:
    """The experiment of a run that is not trained any further; split: as of `load`."""
    # No shape depends on class weights either.
    examples = {"train_examples": _ANY_LENGTH}
    if split is not None:
        examples |= {"image_dtype": roles.image_dtype(split)}
    return experiment.build(config, **examples)


def weights(folder: pathlib.Path) -> Source:
    """The variables that a run is evaluated with: its moving average where kept.

    Raises:
      InputError: the folder holds no run, or one that has no evaluation behind it.
    """
    results_file.check_finished(folder)
    config = config_lib.from_json(folder / "config.json")
    best = best_lib.read(folder / "checkpoints")
    exp = built(config)
    state = _state(folder, exp, best)
    named = trees.by_name(evaluation_variables(state))
    arrays = {name: np.asarray(jax.device_get(leaf)) for name, leaf in named.items()}
    return Source(folder, "ours", arrays, "", config)


def _state(workdir: pathlib.Path, exp: experiment.Experiment, best: dict[str, Any]):
    """Of the checkpoint that was best; it is sealed, and knows itself what it was."""
    folder = workdir / "checkpoints"
    state, meta = variables(folder, exp.abstract_state, best["step"])
    best_lib.check(folder, best, meta["best"])
    return state


def variables(
    folder: pathlib.Path, abstract_state: TrainState, step: int
) -> tuple[TrainState, dict[str, Any]]:
    """What a model is evaluated with, of a checkpoint: (state without optimiser, meta).

    Args:
      folder: of all checkpoints.
      abstract_state: shapes, with shardings.
      step: of the checkpoint.

    Raises:
      InputError: it cannot be read, or was saved by another model or optimiser.
    """
    wanted = digest.shapes(trees.by_name(abstract_state))
    arrays, meta = saved.read(folder, step, wanted)
    return saved.placed(arrays, abstract_state._replace(opt_state=None)), meta


def first_state(exp: experiment.Experiment) -> TrainState:
    """A fresh state on the host: drawn, or begun with `config.init_from`."""
    if not exp.config.init_from:
        return exp.init()
    path = places.expanded(exp.config.init_from)
    if path.is_dir():
        foreign.refuse_folder(path)
        found = weights(path)
    else:
        found = source.read(path)
    return exp.init(init_from.begin(found, exp.config, exp.draw()))
