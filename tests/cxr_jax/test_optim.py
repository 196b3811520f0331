import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from configs import common
from cxr_jax import optim, trees
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


def test_decay_reaches_kernels_only():
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


def test_gradients_are_clipped_by_their_common_norm():
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
