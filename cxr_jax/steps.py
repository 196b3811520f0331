"""One update and one evaluation as pure functions, jitted by the callers.

They compose: `feed` gathers the batch by index from an array on the device and runs
many steps in one call, and `vmap` over states, keys and settings trains many members.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from cxr_jax import optim, rng
from cxr_jax.state import TrainState
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from cxr_jax.tasks import Task

Batch = dict[str, jax.Array]


class Settings(NamedTuple):
    """Numbers that differ from step to step, or from member to member: float32 [].

    Attributes:
      lr: learning rate of this step.
      weight_decay: of the parameters that `optim.decay_mask` names; decoupled, but
        for the optimisers of `optim.COUPLED`.
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
    rates: dict[str, optim.Rate],
    no_decay: str = "",
    frozen_norms: str = "",
    torch_norms: bool = False,
    ema_decay: float = 0.0,
    accumulate: int = 1,
):
    """Returns step(state, batch, root_key, settings) -> (state, metrics).

    The batch holds `image` uint8/uint16 [B, H, W, 1] and the task's targets; all
    randomness is from streams of `root_key` at `state.step`. The metrics are `loss`
    and `grad_norm`, float32 [], and `layer_norms` [number of parameter leaves]: of the
    gradient, in the order of `trees.names`.

    rates: from `optim.layer_rates`. frozen_norms, torch_norms: see `optim.frozen_norms`.
    accumulate: parts of the batch, computed in turn to save memory.
       Gradients are those of the whole batch, except that batch norm and
      dropout work per part (ghost batch norm, Hoffer et al. 2017, arXiv 1705.08741).
    """

    def loss_fn(params, model_state, batch, dropout):
        params = optim.frozen_stopped(params, rates)
        with optim.frozen_norms(rates, frozen_norms, torch_norms):
            output, updated = model.apply(
                {"params": params, **model_state},
                batch["image"],
                train=True,
                mutable=["batch_stats"],
                rngs={"dropout": dropout},
            )
        return jnp.mean(task.loss(task.reads(output), batch)), {
            **model_state,
            **updated,
        }

    if accumulate > 1 and task.views > 1:
        raise InputError(
            "config.accumulate",
            f"is {accumulate}, but the loss compares all images of a batch",
            "set it to 1; config.model.remat=True and model.dtype=bfloat16 save memory",
        )
    gradient = jax.value_and_grad(loss_fn, has_aux=True)
    if accumulate > 1:
        gradient = partial(_in_parts, gradient, accumulate)

    def train_step(
        state: TrainState, batch: Batch, root: jax.Array, settings: Settings
    ):
        keys = [rng.stream(root, "augment", state.step)]
        keys += [
            rng.stream(root, f"augment/{k}", state.step) for k in range(1, task.views)
        ]
        views = [preprocess(batch, key, settings.strength) for key in keys]
        batch = side_by_side(views)
        dropout = rng.stream(root, "dropout", state.step)
        (loss, model_state), grads = gradient(
            state.params, state.model_state, batch, dropout
        )
        grads = optim.asleep_zeroed(grads, rates, state.step)
        direction, opt_state = tx.update(
            grads, state.opt_state, state.params, weight_decay=settings.weight_decay
        )
        factors = optim.rate_factors(rates, state.step)
        params = optim.descend(state.params, direction, settings, no_decay, factors)
        ema = state.ema
        if ema is not None:
            # A short memory at first, or a short run would include its initialisation.
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


def side_by_side(views: list[Batch]) -> Batch:
    """Joins views of a batch into one batch, those of an example side by side.

    So they stay on one device when the examples are split among several devices.
    """
    if len(views) == 1:
        return views[0]
    return jax.tree.map(
        lambda *rows: jnp.stack(rows, axis=1).reshape(-1, *rows[0].shape[1:]), *views
    )


def _in_parts(gradient, parts: int, params, model_state, batch, dropout):
    """Computes `gradient` of a batch part by part.

    A part takes every `parts`-th example, so that examples stay on their devices.
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


def make_eval_step(model, task: Task, preprocess, augment=None):
    """Returns step(variables, batch) -> {'loss' [B], predictions [B, ...]}.

    augment: as in training, for tasks that compare views.
    """

    def eval_step(variables: dict[str, Any], batch: Batch):
        if task.views > 1:
            batch = fixed_views(batch, augment, task.views)
        else:
            batch = preprocess(batch, None)
        output = model.apply(variables, batch["image"], train=False)
        found = task.reads(output)
        return {
            "loss": task.eval_loss(found, batch),
            **task.predict(found),
            **task.compare(found, batch),
        }

    return eval_step


def make_predict_step(model, task: Task, preprocess):
    """Returns step(variables, batch) -> predictions {name: [B, ...]}, without targets."""

    def predict_step(variables: dict[str, Any], batch: Batch):
        image = preprocess(batch, None)["image"]
        return task.predict(task.reads(model.apply(variables, image, train=False)))

    return predict_step


def fixed_views(batch: Batch, augment, count: int) -> Batch:
    """Draws the same views in every evaluation, with a key derived from the pixels.

    So they depend neither on the batch nor on the position in it.
    """

    def one(image):
        key = jax.random.fold_in(rng.root(0), jnp.sum(image.astype(jnp.uint32)))
        keys = [rng.stream(key, f"view/{k}") for k in range(count)]
        return [augment({"image": image[None]}, key)["image"][0] for key in keys]

    return side_by_side([{"image": view} for view in jax.vmap(one)(batch["image"])])
