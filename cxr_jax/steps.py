"""One update and one evaluation, as pure functions; jitted by the callers.

They compose: `feed` gathers the batch by index from an array on the device and runs
many steps in one call, and `vmap` over states, keys and settings trains many members.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from cxr_jax import optim, rng
from cxr_jax.state import TrainState
from cxr_jax.tasks import Task

Batch = dict[str, jax.Array]


class Settings(NamedTuple):
    """Numbers that differ from step to step, or from member to member: float32 [].

    Attributes:
      lr: learning rate of this step.
      weight_decay: decoupled, of the parameters that `optim.decay_mask` names.
      strength: factor on the limits of the random ops.
    """

    lr: jax.Array
    weight_decay: jax.Array
    strength: jax.Array


def make_train_step(
    model,
    task: Task,
    preprocess,
    tx,
    *,
    no_decay: str = "",
    ema_decay: float = 0.0,
    accumulate: int = 1,
):
    """-> step(state, batch, root_key, settings) -> (state, metrics).

    The batch holds `image` uint8/uint16 [B, H, W, 1] and the task's targets; all
    randomness comes from streams of `root_key` at `state.step`. The metrics are `loss`
    and `grad_norm`, float32 [], and `layer_norms` [number of parameter leaves]: of the
    gradient, in the order of `trees.names`.

    accumulate: parts that the batch is worked off in, one after another, for less
      memory. Gradients are those of the whole batch, except that batch norm and
      dropout work per part (ghost batch norm, Hoffer et al. 2017, arXiv 1705.08741).
    """

    def loss_fn(params, model_state, batch, dropout):
        output, updated = model.apply(
            {"params": params, **model_state},
            batch["image"],
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": dropout},
        )
        return jnp.mean(task.loss(output.logits, batch)), {**model_state, **updated}

    gradient = jax.value_and_grad(loss_fn, has_aux=True)
    if accumulate > 1:
        gradient = partial(_in_parts, gradient, accumulate)

    def train_step(
        state: TrainState, batch: Batch, root: jax.Array, settings: Settings
    ):
        augment = rng.stream(root, "augment", state.step)
        batch = preprocess(batch, augment, settings.strength)
        dropout = rng.stream(root, "dropout", state.step)
        (loss, model_state), grads = gradient(
            state.params, state.model_state, batch, dropout
        )
        direction, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optim.descend(state.params, direction, settings, no_decay)
        ema = state.ema
        if ema is not None:
            # Short memory at first, or a short run would average its initialisation.
            decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
            ema = optax.incremental_update(
                {"params": params, **model_state}, ema, 1.0 - decay
            )
        state = TrainState(state.step + 1, params, model_state, opt_state, ema)
        norms = jnp.stack([jnp.linalg.norm(leaf) for leaf in jax.tree.leaves(grads)])
        return state, {
            "loss": loss,
            "grad_norm": jnp.linalg.norm(norms),
            "layer_norms": norms,
        }

    return train_step


def _in_parts(gradient, parts: int, params, model_state, batch, dropout):
    """`gradient` of a batch whose parts are worked off one after another.

    A part takes every `parts`-th example, so that each device keeps its own.
    """
    split = jax.tree.map(
        lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), batch
    )

    def add(carry, part):
        model_state, total, summed = carry
        number, batch = part
        (loss, model_state), grads = gradient(
            params, model_state, batch, rng.stream(dropout, "part", number)
        )
        summed = jax.tree.map(jnp.add, summed, grads)
        return (model_state, total + loss, summed), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    (model_state, total, summed), _ = lax.scan(
        add,
        (model_state, jnp.zeros((), jnp.float32), zeros),
        (jnp.arange(parts), split),
    )
    grads = jax.tree.map(lambda leaf: leaf / parts, summed)
    return (total / parts, model_state), grads


def make_eval_step(model, task: Task, preprocess):
    """-> step(variables, batch) -> {'loss' [B], predictions [B, ...]}."""

    def eval_step(variables: dict[str, Any], batch: Batch):
        batch = preprocess(batch, None)
        output = model.apply(variables, batch["image"], train=False)
        return {
            "loss": task.eval_loss(output.logits, batch),
            **task.predict(output.logits),
        }

    return eval_step
