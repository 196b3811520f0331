"""What training carries from step to step."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from cxr_jax.models import init

PyTree = Any


class TrainState(NamedTuple):
    """One pytree of arrays: no functions, keys or settings in it.

    Attributes:
      step: int32 [], updates done so far.
      params: float32 leaves by explicit names.
      model_state: running statistics of the batch norms.
      opt_state: of the optax chain.
      ema: exponential moving average of the variables to evaluate with
        ({'params', 'batch_stats'}), or None when it is off.
    """

    step: jax.Array
    params: PyTree
    model_state: PyTree
    opt_state: PyTree
    ema: PyTree


def create(
    model, image_shape, tx: optax.GradientTransformation, *, ema: bool, seed: int
) -> TrainState:
    """A fresh state with parameters drawn on the host (no compilation).

    Args:
      model: a flax module of `cxr_jax.models`.
      image_shape: (height, width, channels) after preprocessing.
      tx: the optimiser.
      ema: keep a moving average of the parameters.
      seed: of the whole run.
    """
    params, model_state = init.initialise(model, image_shape, seed)
    return TrainState(
        step=np.zeros((), np.int32),
        params=params,
        model_state=model_state,
        opt_state=jax.tree.map(np.asarray, tx.init(params)),
        ema=jax.tree.map(np.array, {"params": params, **model_state}) if ema else None,
    )


def evaluation_variables(state: TrainState) -> dict[str, PyTree]:
    """The variables to evaluate with: the average where one is kept."""
    if state.ema is not None:
        return state.ema
    return {"params": state.params, **state.model_state}
