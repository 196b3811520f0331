import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cxr_jax import experiment, optim, rng
from cxr_jax import state as state_lib
from cxr_jax.devices import sharding
from cxr_jax.models import heads, layers
from cxr_jax.models.init import initialise
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.steps import Settings, make_train_step
from cxr_jax.train import stepper


@pytest.fixture
def exp(tiny_config):
    with tiny_config.unlocked():
        chain = "to_float|affine(rotate=5)|flip_lr|standardise"
        tiny_config.preprocess.train = chain
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


def settings(exp, step=0, **changes):
    """Settings of one step, as `run.Run.settings` makes them of many."""
    of_config = {
        "lr": exp.schedule(step),
        "weight_decay": exp.config.optim.weight_decay,
        "strength": exp.config.preprocess.strength,
    }
    values = {**of_config, **changes}
    return Settings(**{name: np.float32(value) for name, value in values.items()})


def run(exp, state, batches, key):
    step = jax.jit(exp.train_step)
    losses = []
    for number, batch in enumerate(batches):
        state, metrics = step(state, batch, key, settings(exp, number))
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


def test_many_steps_in_one_call_equal_the_loop(exp, batches):
    """As in `feed.on_device`, where the batch is gathered within the step."""
    key, state = rng.root(0), exp.init()
    looped, losses = run(exp, state, batches, key)
    data = jax.tree.map(lambda *x: np.concatenate(x), *batches)
    many = jax.jit(stepper.make_many(stepper.gathering(exp.train_step, exp.mesh)))
    each = [settings(exp, number) for number in range(3)]
    index = np.arange(24, dtype=np.int32).reshape(3, 8)
    scanned, metrics = many(
        jax.tree.map(jnp.asarray, state),
        data,
        stepper.padded(index),
        key,
        jax.tree.map(lambda *x: stepper.padded(np.stack(x)), *each),
        3,
    )
    np.testing.assert_allclose(metrics["loss"][:3], losses, rtol=1e-5)
    assert not metrics["loss"][3:].any()
    close(scanned, looped)


def test_vmap_over_members_equals_solo_runs(exp, batches):
    states = []
    for seed in (0, 1):
        params, model_state = initialise(exp.model, exp.image_shape, seed)
        variables = {"params": params, **model_state}
        states.append(state_lib.create(variables, exp.tx, ema=False))
    keys = [rng.root(seed) for seed in (0, 1)]
    each = [settings(exp), settings(exp, lr=3e-3, weight_decay=0.1, strength=0.5)]
    members, _ = jax.jit(jax.vmap(exp.train_step, in_axes=(0, None, 0, 0)))(
        jax.tree.map(lambda *x: np.stack(x), *states),
        batches[0],
        jnp.stack(keys),
        jax.tree.map(lambda *x: np.stack(x), *each),
    )
    for i in range(2):
        solo, _ = jax.jit(exp.train_step)(states[i], batches[0], keys[i], each[i])
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
    step = functools.partial(jax.jit(exp.train_step), settings=settings(exp))
    after, _ = step(before, batches[0], rng.root(0))
    # The first of min(0.9, (1 + t) / (10 + t)) is 0.1; statistics are averaged too.
    variables = [{"params": s.params, **s.model_state} for s in (before, after)]
    expected = jax.tree.map(lambda old, new: 0.1 * old + 0.9 * new, *variables)
    close(after.ema, expected)
    late = after._replace(step=np.int32(1000))
    close(
        step(late, batches[1], rng.root(0))[0].ema["params"],
        jax.tree.map(
            lambda old, new: 0.9 * old + 0.1 * new,
            after.ema["params"],
            step(late, batches[1], rng.root(0))[0].params,
        ),
    )
    assert state_lib.evaluation_variables(after) is after.ema


def test_rate_and_decay_per_step_match_optax(exp, batches):
    """The update is that of optax's AdamW with the same rate and decay."""
    state, lr, decay = exp.init(), 3e-3, 0.2
    now = settings(exp, lr=lr, weight_decay=decay)
    after, _ = jax.jit(exp.train_step)(state, batches[0], rng.root(0), now)

    ops = make_preprocess(exp.config.preprocess.train, train=True)
    batch = jax.jit(ops)(batches[0], rng.stream(rng.root(0), "augment", 0))

    def loss(params):
        output, _ = exp.model.apply(
            {"params": params, **state.model_state},
            batch["image"],
            train=True,
            mutable=["batch_stats"],
        )
        return jnp.mean(exp.task.loss(output.logits, batch))

    mask = optim.decay_mask(state.params, exp.config.optim.no_decay)
    tx = optax.chain(
        optax.clip_by_global_norm(exp.config.optim.clip_norm),
        optax.adamw(lr, weight_decay=decay, mask=mask),
    )
    grads = jax.jit(jax.grad(loss))(state.params)
    updates, _ = tx.update(grads, tx.init(state.params), state.params)
    close(after.params, optax.apply_updates(state.params, updates))


def test_layer_norms_match_the_gradient(exp, batches):
    _, metrics = jax.jit(exp.train_step)(
        exp.init(), batches[0], rng.root(0), settings(exp)
    )
    count = len(jax.tree.leaves(exp.abstract_state.params))
    assert metrics["layer_norms"].shape == (count,)
    total = np.sqrt(np.sum(np.square(metrics["layer_norms"])))
    np.testing.assert_allclose(metrics["grad_norm"], total, rtol=1e-6)


def test_strength_zero_means_no_augmentation(tiny_config, batches):
    with tiny_config.unlocked():
        tiny_config.preprocess.train = (
            "to_float|affine(rotate=5)|brightness(0.2)|contrast(0.3)|standardise"
        )
    ops = make_preprocess(tiny_config.preprocess.train, train=True)
    plain = make_preprocess("to_float|standardise", train=False)
    key = rng.root(0)
    np.testing.assert_allclose(
        ops(batches[0], key, 0.0)["image"], plain(batches[0])["image"], atol=1e-4
    )
    assert np.abs(ops(batches[0], key, 1.0)["image"] - plain(batches[0])["image"]).max()


@pytest.mark.parametrize("accumulate", [2, 4])
def test_parts_of_a_batch_add_up_to_it(tiny_config, batches, accumulate):
    """Without batch norm and dropout the gradient does not depend on the parts."""
    with tiny_config.unlocked():
        tiny_config.preprocess.train = "to_float|affine(rotate=5)|standardise"
    whole = experiment.build(tiny_config, train_examples=40)
    model = Plain(num_outputs=24)
    params, _ = initialise(model, (48, 48, 1), seed=0)
    steps_ = [
        make_train_step(
            model,
            whole.task,
            make_preprocess(tiny_config.preprocess.train, train=True),
            whole.tx,
            rates=optim.layer_rates((), params, int),
            accumulate=parts,
        )
        for parts in (1, accumulate)
    ]
    state = state_lib.create({"params": params}, whole.tx, ema=False)
    one, other = (
        jax.jit(step)(state, batches[0], rng.root(0), settings(whole))
        for step in steps_
    )
    close(one[1], other[1], tolerance=1e-5)
    # Adam divides by the square root: noise in a gradient near 0 becomes a direction.
    close(one[0].opt_state[1].mu, other[0].opt_state[1].mu, tolerance=1e-5)


def test_parts_use_ghost_batch_norm(tiny_config, batches):
    """Running statistics of two parts are those of two small batches in turn."""
    with tiny_config.unlocked():
        tiny_config.preprocess.train = "to_float|standardise"
        tiny_config.accumulate = 2
    exp = experiment.build(tiny_config, train_examples=40)
    state = exp.init()
    after, _ = jax.jit(exp.train_step)(state, batches[0], rng.root(0), settings(exp))
    images = make_preprocess("to_float|standardise", train=False)(batches[0])["image"]
    expected = state.model_state
    for part in (images[0::2], images[1::2]):
        _, expected = exp.model.apply(
            {"params": state.params, **expected},
            part,
            train=True,
            mutable=["batch_stats"],
        )
    close(after.model_state, expected)


class Plain(nn.Module):
    """One convolution and a dense layer."""

    num_outputs: int
    scheme: str = "he_fan_in"

    @nn.compact
    def __call__(self, images, *, train=False):
        x = nn.relu(layers.Conv(8, stride=2, padding=1, name="conv")(images))
        return layers.Output(
            heads.head(
                x, self.num_outputs, pool="grid", rate=0.0, train=train, name="fc"
            ),
            {},
        )


def test_eval_step_treats_each_image_independently(exp, batches):
    variables = state_lib.evaluation_variables(exp.init())
    step = jax.jit(exp.eval_step)
    whole = step(variables, batches[0])
    part = step(variables, jax.tree.map(lambda x: x[:4], batches[0]))
    close(jax.tree.map(lambda x: x[:4], whole), part)
    np.testing.assert_allclose(np.sum(whole["probs"], axis=-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        whole["expected"], np.asarray(whole["probs"]) @ [0, 1, 2, 3], rtol=1e-5
    )
