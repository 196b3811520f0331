import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax import experiment, rng, sharding
from cxr_jax import state as state_lib


@pytest.fixture
def exp(tiny_config):
    return experiment.build(tiny_config, train_examples=40)


@pytest.fixture
def batches():
    generator = np.random.default_rng(0)
    return [
        {
            "image": generator.integers(0, 65536, (8, 48, 48, 1)).astype(np.uint16),
            "scores": generator.integers(0, 4, (8, 6)).astype(np.int32),
        }
        for _ in range(3)
    ]


def run(exp, state, batches, key):
    step = jax.jit(exp.train_step)
    losses = []
    for batch in batches:
        state, metrics = step(state, batch, key)
        losses.append(float(metrics["loss"]))
    return state, losses


def close(one, other, tolerance=2e-5):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance),
        one,
        other,
    )


def test_golden_numbers(exp, batches):
    state, losses = run(exp, exp.init(), batches, rng.root(0))
    # A change means that the same config trains differently than before: the draw of
    # the parameters, the augmentation, the model, the loss or the optimiser changed.
    # If that was meant, note it in the CHANGELOG and take over the new numbers.
    assert losses == pytest.approx(GOLDEN_LOSSES, rel=1e-4)
    norm = np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(state.params)))
    assert norm == pytest.approx(GOLDEN_NORM, rel=1e-4)


GOLDEN_LOSSES = [1.236230, 1.294580, 1.286565]
GOLDEN_NORM = 6.568428


def test_scan_over_the_step_equals_the_loop(exp, batches):
    key, state = rng.root(0), exp.init()
    looped, losses = run(exp, state, batches, key)
    stacked = jax.tree.map(lambda *x: np.stack(x), *batches)
    scanned, metrics = jax.jit(
        lambda s, b: jax.lax.scan(lambda s, b: exp.train_step(s, b, key), s, b)
    )(jax.tree.map(jnp.asarray, state), stacked)
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-5)
    close(scanned, looped)


def test_vmap_over_members_equals_solo_runs(exp, batches):
    states = [
        state_lib.create(exp.model, exp.image_shape, exp.tx, ema=False, seed=seed)
        for seed in (0, 1)
    ]
    keys = [rng.root(seed) for seed in (0, 1)]
    members, _ = jax.jit(jax.vmap(exp.train_step, in_axes=(0, None, 0)))(
        jax.tree.map(lambda *x: np.stack(x), *states), batches[0], jnp.stack(keys)
    )
    for i in range(2):
        solo, _ = jax.jit(exp.train_step)(states[i], batches[0], keys[i])
        close(jax.tree.map(lambda x, i=i: x[i], members), solo, tolerance=1e-4)


def test_two_devices_equal_one(exp, batches):
    assert jax.device_count() == 2
    solo, losses = run(exp, exp.init(), batches, rng.root(0))
    everywhere = sharding.replicated(exp.mesh)
    split_state, split_losses = run(
        exp,
        jax.device_put(exp.init(), everywhere),
        [sharding.put(batch, exp.mesh) for batch in batches],
        jax.device_put(rng.root(0), everywhere),
    )
    np.testing.assert_allclose(split_losses, losses, rtol=1e-5)
    close(split_state.model_state, solo.model_state)


def test_moving_average_follows_its_definition(tiny_config, batches):
    with tiny_config.unlocked():
        tiny_config.optim.ema_decay = 0.9
    exp = experiment.build(tiny_config, train_examples=40)
    before = exp.init()
    after, _ = jax.jit(exp.train_step)(before, batches[0], rng.root(0))
    # The first of min(0.9, (1 + t) / (10 + t)) is 0.1; statistics are averaged too.
    variables = [{"params": s.params, **s.model_state} for s in (before, after)]
    expected = jax.tree.map(lambda old, new: 0.1 * old + 0.9 * new, *variables)
    close(after.ema, expected)
    late = after._replace(step=np.int32(1000))
    close(
        jax.jit(exp.train_step)(late, batches[1], rng.root(0))[0].ema["params"],
        jax.tree.map(
            lambda old, new: 0.9 * old + 0.1 * new,
            after.ema["params"],
            jax.jit(exp.train_step)(late, batches[1], rng.root(0))[0].params,
        ),
    )
    assert state_lib.evaluation_variables(after) is after.ema


def test_learning_rate_factor_scales_the_update(exp, batches):
    state = exp.init()
    step = functools.partial(
        jax.jit(exp.train_step), batch=batches[0], root=rng.root(0)
    )
    full, _ = step(state)
    half, _ = step(state._replace(lr_scale=np.float32(0.5)))
    close(
        jax.tree.map(lambda new, old: new - old, half.params, state.params),
        jax.tree.map(lambda new, old: 0.5 * (new - old), full.params, state.params),
    )


def test_eval_step_sees_each_image_alone(exp, batches):
    variables = state_lib.evaluation_variables(exp.init())
    step = jax.jit(exp.eval_step)
    whole = step(variables, batches[0])
    part = step(variables, jax.tree.map(lambda x: x[:4], batches[0]))
    close(jax.tree.map(lambda x: x[:4], whole), part)
    np.testing.assert_allclose(np.sum(whole["probs"], axis=-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        whole["expected"], np.asarray(whole["probs"]) @ [0, 1, 2, 3], rtol=1e-5
    )
