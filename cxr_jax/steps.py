"""One update and one evaluation, as pure functions; jitted by the callers.

They compose: `lax.scan` over the train step runs many steps per dispatch, `vmap` over
state and key trains many members, and the batch may be gathered by index from an
array that lives on the device.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from cxr_jax import rng
from cxr_jax.state import TrainState
from cxr_jax.tasks import Task

Batch = dict[str, jax.Array]


def make_train_step(model, task: Task, preprocess, tx, *, ema_decay: float):
    """-> step(state, batch, root_key) -> (state, {'loss', 'grad_norm'}).

    The batch holds `image` uint8/uint16 [B, H, W, 1] and the task's targets; all
    randomness comes from streams of `root_key` at `state.step`.
    """

    def train_step(state: TrainState, batch: Batch, root: jax.Array):
        batch = preprocess(batch, rng.stream(root, "augment", state.step))
        dropout = rng.stream(root, "dropout", state.step)

        def loss_fn(params):
            output, updated = model.apply(
                {"params": params, **state.model_state},
                batch["image"],
                train=True,
                mutable=["batch_stats"],
                rngs={"dropout": dropout},
            )
            return jnp.mean(task.loss(output.logits, batch)), updated

        (loss, model_state), grads = jax.value_and_grad(loss_fn, has_aux=True)(
            state.params
        )
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        updates = jax.tree.map(lambda u: u * state.lr_scale, updates)
        params = optax.apply_updates(state.params, updates)
        model_state = {**state.model_state, **model_state}
        ema = state.ema
        if ema is not None:
            # Short memory at first, or a short run would average its initialisation.
            decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
            ema = optax.incremental_update(
                {"params": params, **model_state}, ema, 1.0 - decay
            )
        state = TrainState(
            step=state.step + 1,
            params=params,
            model_state=model_state,
            opt_state=opt_state,
            ema=ema,
            lr_scale=state.lr_scale,
        )
        return state, {"loss": loss, "grad_norm": optax.tree.norm(grads)}

    return train_step


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
