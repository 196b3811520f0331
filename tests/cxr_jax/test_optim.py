"""The optimiser; layers that are frozen, learn more slowly, or start later."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from configs import common
from cxr_jax import experiment, optim, rng, trees
from cxr_jax.devices import sharding
from cxr_jax.models.layers import batch_norm
from cxr_jax.steps import Settings
from tfds_builders.common.errors import InputError

PARAMS = {
    "conv1": {"kernel": jnp.full((2, 2), 0.5), "bias": jnp.ones(2)},
    "bn1": {"scale": jnp.ones(2), "bias": jnp.zeros(2)},
}


def settings(**changes) -> ConfigDict:
    config = common.get_config().optim
    config.update(changes)
    return config


def update(config, grads, lr=0.1):
    tx = optim.make_optimiser(config)
    direction, _ = tx.update(grads, tx.init(PARAMS), PARAMS)
    now = Settings(lr=lr, weight_decay=config.weight_decay, strength=1.0)
    factors = [1.0] * len(jax.tree.leaves(PARAMS))
    return optim.descend(PARAMS, direction, now, config.no_decay, factors)


def test_decay_applies_to_kernels_only():
    mask = optim.decay_mask(PARAMS, "(bias|scale)$")
    assert mask == {
        "conv1": {"kernel": True, "bias": False},
        "bn1": {"scale": False, "bias": False},
    }
    assert trees.names(PARAMS)["conv1"]["kernel"] == "conv1/kernel"


def test_adam_with_decay_is_adamw():
    grads = jax.tree.map(lambda x: 0.01 * x + 0.02, PARAMS)
    ours = update(settings(name="adam", weight_decay=0.3, clip_norm=0.0), grads)
    reference = optax.adamw(
        0.1, weight_decay=0.3, mask=optim.decay_mask(PARAMS, "(bias|scale)$")
    )
    updates = reference.update(grads, reference.init(PARAMS), PARAMS)[0]
    theirs = optax.apply_updates(PARAMS, updates)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), ours, theirs)


def test_gradients_are_clipped_by_their_global_norm():
    grads = jax.tree.map(lambda x: jnp.full_like(x, 3.0), PARAMS)
    config = settings(
        name="sgd", weight_decay=0.0, clip_norm=1.0, settings={"decay": 0.0}
    )
    ours = update(config, grads, lr=1.0)
    step = jax.tree.map(lambda new, old: new - old, ours, PARAMS)
    assert float(optax.tree.norm(step)) == pytest.approx(1.0)


def test_schedule_warms_up_then_falls_to_zero():
    schedule = optim.make_schedule(settings(lr=1.0), warmup_steps=10, total_steps=110)
    assert float(schedule(0)) == pytest.approx(0.1)
    assert float(schedule(9)) == pytest.approx(0.91)
    assert float(schedule(10)) == pytest.approx(1.0)
    # Cosine, half-way through what is left.
    assert float(schedule(60)) == pytest.approx(0.5)
    assert float(schedule(110)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", optim.OPTIMISERS)
def test_every_optimiser_descends(name):
    config = settings(name=name, weight_decay=0.0)
    tx, now = optim.make_optimiser(config), Settings(0.01, 0.0, 1.0)
    params, state = {"x": jnp.array([1.0, -2.0])}, None
    state = tx.init(params)
    for _ in range(50):
        grads = jax.grad(lambda p: jnp.sum(p["x"] ** 2))(params)
        direction, state = tx.update(grads, state, params)
        params = optim.descend(params, direction, now, "", [1.0])
    assert float(jnp.sum(params["x"] ** 2)) < 5.0


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"name": "adamw"}, "adam with weight_decay"),
        ({"schedule": "cosin"}, "choose one of"),
        ({"settings": {"beta": 1}}, "does not fit adam"),
    ],
)
def test_unknown_names_are_explained(changes, message):
    config = settings(**changes)
    with pytest.raises(InputError, match=message):
        optim.make_schedule(config, warmup_steps=0, total_steps=1)
        optim.make_optimiser(config)


NOW = Settings(np.float32(0.1), np.float32(0.01), np.float32(1.0))


@pytest.fixture
def trained(tiny_config):
    """Steps of plain gradient descent: all states, and the last metrics."""

    def run(steps: int = 1, **changes):
        with tiny_config.unlocked():
            tiny_config.optim.name, tiny_config.optim.settings = "sgd", {"decay": 0.0}
            tiny_config.optim.clip_norm = 0.0
            tiny_config.optim.update(changes)
        exp = experiment.build(tiny_config, train_examples=40)
        generator = np.random.default_rng(0)
        size = tiny_config.data.size
        count = tiny_config.batch_size
        batch = {
            "image": generator.integers(0, 65536, (count, size, size, 1), np.uint16),
            "scores": generator.integers(0, 4, (count, 6), np.int32),
        }
        batch = sharding.put(batch, exp.mesh)
        states, metrics, step = [exp.init()], {}, jax.jit(exp.train_step)
        for _ in range(steps):
            state, metrics = step(states[-1], batch, rng.root(0), NOW)
            states.append(state)
        return states, metrics

    return run


def moved(before, after) -> dict[str, bool]:
    one, other = (trees.by_name(state.params) for state in (before, after))
    return {n: not np.array_equal(one[n], other[n]) for n in one}


def test_a_frozen_layer_and_its_statistics_stay_while_the_rest_learns(trained):
    (begin, after), metrics = trained(layers=("^stage1: 0",))
    for name, has_moved in moved(begin, after).items():
        assert has_moved == (not name.startswith("stage1")), name
    norms = dict(zip(trees.by_name(begin.params), metrics["layer_norms"], strict=True))
    assert norms["stage1_conv1/kernel"] == 0 < norms["fc/kernel"]
    one, other = (trees.by_name(state.model_state) for state in (begin, after))
    for name in one:
        same = np.array_equal(one[name], other[name])
        assert same == name.startswith("batch_stats/stage1"), name


def test_all_norms_can_keep_their_statistics(trained):
    (begin, after), _ = trained(frozen_norms=".")
    jax.tree.map(np.testing.assert_array_equal, begin.model_state, after.model_state)
    assert all(moved(begin, after).values())


def test_a_factor_scales_the_step(trained):
    (begin, full), _ = trained()
    (_, tenth), _ = trained(layers=("kernel$: 0.1",))
    start, whole, part = (trees.by_name(s.params) for s in (begin, full, tenth))
    for name, leaf in start.items():
        share = 0.1 if name.endswith("kernel") else 1.0
        np.testing.assert_allclose(
            part[name] - leaf, share * (whole[name] - leaf), rtol=1e-3, atol=1e-6
        )


def test_a_layer_starts_learning_at_its_step(trained):
    (begin, _, second, third), _ = trained(3, layers=("^fc: 0.5 from 2 steps",))
    assert not moved(begin, second)["fc/kernel"]
    assert moved(second, third)["fc/kernel"]


def test_the_first_matching_entry_decides():
    params = {"a": {"kernel": np.zeros(1), "bias": np.zeros(1)}, "b": np.zeros(1)}
    found = optim.layer_rates(
        ("bias$: 2", "^a: 0 from 3 steps"), params, lambda text: 3
    )
    assert found == {
        "a/bias": optim.Rate(2.0, 0),
        "a/kernel": optim.Rate(0.0, 3),
        "b": optim.Rate(),
    }


@pytest.mark.parametrize(
    "layers, message",
    [
        (("conv1",), "cannot be read"),
        (("conv1: fast",), "cannot be read"),
        (("conv1: -1",), "cannot be read"),
        (("(: 1",), "cannot be read"),
        (("nothing: 1",), "matches no parameter"),
        ((".: 0",), "freezes every layer"),
    ],
)
def test_invalid_entries_are_refused(layers, message):
    with pytest.raises(InputError, match=message):
        optim.layer_rates(layers, {"conv1": np.zeros(1)}, int)


def test_the_start_of_a_layer_is_a_duration(tiny_config):
    with tiny_config.unlocked():
        tiny_config.optim.layers = ("^fc: 1 from 2 epochs",)
    exp = experiment.build(tiny_config, train_examples=40)
    assert exp.rates["fc/kernel"].start == round(80 / tiny_config.batch_size)
    with tiny_config.unlocked():
        tiny_config.optim.layers = ("^fc: 1 from soon",)
    with pytest.raises(InputError, match="optim.layers"):
        experiment.build(tiny_config, train_examples=40)


def torch_updates(name, grads, *, lr, decay, steps=3):
    """The documented formulas of torch.optim, in NumPy, for one parameter from 0.5."""
    param = np.full(3, 0.5)
    first, second = np.zeros(3), np.zeros(3)
    for step in range(1, steps + 1):
        grad = grads[step - 1] + decay * param
        if name == "torch_sgd":
            first = 0.9 * first + grad
            param = param - lr * first
        elif name == "torch_rmsprop":
            second = 0.99 * second + 0.01 * grad**2
            param = param - lr * grad / (np.sqrt(second) + 1e-8)
        else:
            first = 0.9 * first + 0.1 * grad
            second = 0.999 * second + 0.001 * grad**2
            root = np.sqrt(second / (1 - 0.999**step)) + 1e-8
            param = param - lr * first / (1 - 0.9**step) / root
    return param


@pytest.mark.parametrize("name", optim.COUPLED)
def test_decay_and_defaults_of_pytorch(name):
    grads = np.random.default_rng(0).normal(size=(3, 3))
    momentum = {"decay": 0.9} if name == "torch_sgd" else {}
    config = settings(
        name=name, weight_decay=0.3, clip_norm=0.0, no_decay="", settings=momentum
    )
    params = {"kernel": jnp.full(3, 0.5)}
    tx = optim.make_optimiser(config)
    state, now = tx.init(params), Settings(0.01, 0.3, 1.0)
    for grad in grads:
        grad = {"kernel": jnp.asarray(grad, jnp.float32)}
        direction, state = tx.update(grad, state, params, weight_decay=0.3)
        params = optim.descend(params, direction, now, optim.undecayed(config), [1.0])
    expected = torch_updates(name, grads, lr=0.01, decay=0.3)
    np.testing.assert_allclose(params["kernel"], expected, rtol=1e-5)
    other = torch_updates(name, grads, lr=0.01, decay=0.0)
    assert np.abs(other - expected).max() > 1e-3


def test_coupled_decay_is_added_after_clipping_and_spares_biases():
    config = settings(
        name="torch_sgd", weight_decay=1.0, clip_norm=1.0, no_decay="bias$"
    )
    params = {"kernel": jnp.full(1, 2.0), "bias": jnp.full(1, 2.0)}
    grads = {"kernel": jnp.full(1, 3.0), "bias": jnp.full(1, 4.0)}
    tx = optim.make_optimiser(config)
    direction, _ = tx.update(grads, tx.init(params), params, weight_decay=1.0)
    np.testing.assert_allclose(direction["kernel"], [0.6 + 2.0], rtol=1e-6)
    np.testing.assert_allclose(direction["bias"], [0.8], rtol=1e-6)


class Norm(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool):
        return batch_norm(x, train=train, name="bn", dtype=jnp.float32)


@pytest.mark.parametrize("unbiased", [False, True])
def test_the_running_variance_is_keras_or_pytorch(unbiased):
    x = np.random.default_rng(0).normal(2, 3, (2, 2, 2, 5)).astype(np.float32)
    variables = Norm().init(jax.random.key(0), x, False)
    with optim.frozen_norms({}, "", unbiased):
        result, new = Norm().apply(variables, x, True, mutable=["batch_stats"])
    kept = new["batch_stats"]["bn"]
    # n = 8: PyTorch's is 8/7 of Keras's.
    wanted = 0.9 + 0.1 * x.reshape(8, 5).var(axis=0, ddof=int(unbiased))
    np.testing.assert_allclose(kept["var"], wanted, rtol=1e-5)
    np.testing.assert_allclose(kept["mean"], 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    # It divides by the biased one in both.
    np.testing.assert_allclose(np.std(result, axis=(0, 1, 2)), 1, rtol=1e-4)


def test_a_config_asks_for_norms_of_pytorch():
    config = common.get_config(32)
    config.model.name, config.data.phantom = "cnn", 8
    steps = {}
    for asked in (False, True):
        config.optim.torch_norms = asked
        exp = experiment.build(
            config.copy_and_resolve_references().lock(), train_examples=64
        )
        key = jax.eval_shape(lambda: rng.root(0))
        batch = experiment.abstract_batch(exp.config, exp.task, np.uint16)
        now = Settings(*[jax.ShapeDtypeStruct((), np.float32)] * 3)
        traced = jax.make_jaxpr(exp.train_step)(exp.abstract_state, batch, key, now)
        steps[asked] = str(traced)
    assert steps[False] != steps[True]
