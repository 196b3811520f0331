"""BS-Net learns 32 phantoms by heart: all its parts together can do the task."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.reproductions import bsnet
from cxr_jax import tasks
from cxr_jax.data import cache, roles
from cxr_jax.models.bsnet import BSNet
from cxr_jax.models.init import initialise
from cxr_jax.ops.registry import make_preprocess

SMALL = BSNet(24, depths=(1, 1, 1, 1), width=16, decoder=(8, 8, 8, 8), neck=32)


def by_heart(model, batch, task, steps: int, rate: float) -> float:
    """Zone MAE on the batch that `model` was trained on, as it is evaluated."""
    params, state = initialise(model, batch["image"].shape[1:], seed=0)
    tx = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def loss(params, state):
        output, updated = model.apply(
            {"params": params, **state},
            batch["image"],
            train=True,
            mutable=["batch_stats"],
        )
        return jnp.mean(task.loss(output.logits, batch)), updated

    @jax.jit
    def step(params, state, moments):
        (_, state), grads = jax.value_and_grad(loss, has_aux=True)(params, state)
        updates, moments = tx.update(grads, moments)
        return optax.apply_updates(params, updates), state, moments

    moments = tx.init(params)
    for _ in range(steps):
        params, state, moments = step(params, state, moments)
    logits = jax.jit(partial(model.apply, train=False))(
        {"params": params, **state}, batch["image"]
    ).logits
    expected = task.predict(logits)["expected"]
    return float(np.abs(expected - batch["scores"]).mean())


@pytest.fixture
def batch(tiny_config, tmp_path):
    """32 phantoms of 64 pixels as the model sees them, and their scores."""
    with tiny_config.unlocked():
        tiny_config.data.size = 64
    train = roles.open_splits(tiny_config.data, tmp_path).train
    held = cache.decoded(train, 64, "stretch")
    ops = make_preprocess("to_float|standardise", train=False)
    image = ops({"image": held["image"][:32]})["image"]
    return {"image": image, "scores": train.table["scores"][:32].astype(np.int32)}


@pytest.mark.slow
def test_a_small_one(batch):
    task = tasks.make_task(bsnet.get_config().task)
    spread = np.abs(batch["scores"] - np.median(batch["scores"], axis=0)).mean()
    found = by_heart(SMALL, batch, task, steps=60, rate=3e-3)
    assert found < 0.1 < spread


@pytest.mark.slow
def test_the_whole_one(batch):
    task = tasks.make_task(bsnet.get_config().task)
    assert by_heart(BSNet(24), batch, task, steps=60, rate=1e-3) < 0.1
