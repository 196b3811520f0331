"""The state that training carries from step to step."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
import optax

PyTree = Any


class TrainState(NamedTuple):
    """One pytree of arrays, without functions, keys or settings.

    Attributes:
      step: int32 [], number of updates so far.
      params: float32 leaves with explicit names.
      model_state: running statistics of the batch norms.
      opt_state: of the optax chain.
      ema: exponential moving average of the variables to evaluate with
        ({'params', 'batch_stats'}), or None when it is off.
    """

    step: Any  # an array, or its shape
    params: PyTree
    model_state: PyTree
    opt_state: PyTree
    ema: PyTree


def create(
    variables: dict[str, PyTree], tx: optax.GradientTransformation, *, ema: bool
) -> TrainState:
    """A fresh state on the host.

    Args:
      variables: {'params', 'batch_stats'}, from `models.init.initialise` or a file.
      tx: the optimiser.
      ema: whether to keep a moving average of the parameters.
    """
    model_state = {name: tree for name, tree in variables.items() if name != "params"}
    params = variables["params"]
    return TrainState(
        step=np.zeros((), np.int32),
        params=params,
        model_state=model_state,
        opt_state=jax.tree.map(np.asarray, jax.jit(tx.init)(params)),  # one program
        ema=jax.tree.map(np.array, {"params": params, **model_state}) if ema else None,
    )


def evaluation_variables(state: TrainState) -> dict[str, PyTree]:
    """The variables to evaluate with: the moving average if there is one."""
    if state.ema is not None:
        return state.ema
    return {"params": state.params, **state.model_state}
