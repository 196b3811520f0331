"""BS-Net and the head by zones: shapes, exact sums, what moves with what."""

from functools import partial

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models import MODELS
from cxr_jax.models.bsnet import BSNet
from cxr_jax.models.heads import ZoneHead, shares
from cxr_jax.models.init import abstract_variables, initialise
from cxr_jax.rng import generator
from tfds_builders.common.errors import InputError

SHAPE = (64, 64, 1)
SMALL = BSNet(24, depths=(1, 1, 1, 1), width=4, decoder=(4, 4, 4, 4), neck=8)


def images(*shape):
    return generator(0, "images").normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def variables():
    params, state = initialise(SMALL, SHAPE, seed=0)
    # Away from the identity, so that the frame matters.
    params["localiser"]["bias"] = np.array(
        [0.1, -0.2, 0.1, 0.2, -0.1, 0.05], np.float32
    )
    params["fc"]["bias"] = generator(0, "b").normal(size=(6, 4)).astype(np.float32)
    return {"params": params, **state}


@pytest.fixture(scope="module")
def output(variables):
    return jax.jit(SMALL.apply)(variables, images(2, *SHAPE))


@pytest.mark.parametrize("shape", [(64, 64, 1), (75, 90, 3), (512, 512, 1)])
def test_shapes_for_any_size_and_channels(shape):
    model = MODELS["bsnet"](24, dtype=jnp.bfloat16)
    output, updated = jax.eval_shape(
        partial(model.apply, train=True, mutable=["batch_stats"]),
        abstract_variables(model, shape),
        jax.ShapeDtypeStruct((2, *shape), jnp.float32),
    )
    height, width = shape[:2]
    half, quarter = ([-(-n // by) for n in (height, width)] for by in (2, 4))
    expected = {
        "mask": (2, height, width, 1),
        "theta": (2, 2, 3),
        "aligned_mask": (2, *half, 1),
        "zones": (2, 6, *quarter, 4),
    }
    assert output.logits.shape == (2, 24)
    for name, wanted in expected.items():
        assert output.features[name].shape == wanted, name
        assert output.features[name].dtype == jnp.float32, name
    assert output.features["stage1"].dtype == jnp.bfloat16
    assert updated["batch_stats"]


def test_the_trunk_has_the_names_of_resnet_18():
    def names(model):
        params = abstract_variables(model, SHAPE)["params"]
        flat = flax.traverse_util.flatten_dict(params, sep="/")
        return {name: leaf.shape for name, leaf in flat.items()}

    mine, theirs = names(MODELS["bsnet"](24)), names(MODELS["resnet18"](24))
    trunk = {name: shape for name, shape in theirs.items() if name[:2] != "fc"}
    assert trunk.items() <= mine.items()
    rest = {
        name.partition("/")[0].rstrip("1234") for name in mine.keys() - trunk.keys()
    }
    assert rest == {
        "decoder",
        "mask",
        "localiser",
        "lateral",
        "merge",
        "merge_bn",
        "fc",
    }


def test_the_maps_of_the_zones_add_up_to_the_logits(variables, output):
    total = np.asarray(output.features["zones"]).sum((2, 3))
    total += variables["params"]["fc"]["bias"]
    np.testing.assert_allclose(
        output.logits.reshape(2, 6, 4), total, rtol=1e-3, atol=1e-3
    )


PUBLISHED = {
    "mask_scales": True,
    "own_heads": True,
    "overlap": True,
    "localiser": "published",
}


@pytest.mark.parametrize(
    "settings", [*({k: v} for k, v in PUBLISHED.items()), PUBLISHED]
)
def test_what_the_public_code_has(settings):
    model = SMALL.clone(**settings)
    params, state = initialise(model, SHAPE, seed=0)
    params["localiser"]["bias"] = np.full(6, 0.1, np.float32)
    params["fc"]["bias"] = generator(0, "b").normal(size=(6, 4)).astype(np.float32)
    output = jax.jit(model.apply)({"params": params, **state}, images(2, *SHAPE))
    zones = np.asarray(output.features["zones"]).sum((2, 3)) + params["fc"]["bias"]
    np.testing.assert_allclose(zones.reshape(2, -1), output.logits, atol=2e-5)
    usual, _ = initialise(SMALL, SHAPE, seed=0)
    is_changed = jax.tree.map(np.shape, usual) != jax.tree.map(np.shape, params)
    assert is_changed == bool(settings.keys() & {"own_heads", "localiser"})


def test_zones_of_the_public_code_overlap():
    weights = shares(20, 4, overlap=True)
    np.testing.assert_allclose(weights.sum((1, 2)), 1, rtol=1e-6)
    rows = [(zone.sum(1) > 0).nonzero()[0] for zone in weights]
    assert [(row[0], row[-1] + 1) for row in rows[:3]] == [(0, 8), (6, 14), (12, 20)]


def test_an_unknown_localiser_is_refused():
    with pytest.raises(InputError, match="strided, published"):
        abstract_variables(SMALL.clone(localiser="x"), SHAPE)


@pytest.mark.slow
def test_a_step_reaches_every_part(variables):
    x = images(4, *SHAPE)
    params = dict(variables["params"])
    state = {"batch_stats": variables["batch_stats"]}
    kernel = params["localiser"]["zero_kernel"]
    drawn = generator(0, "k").normal(size=kernel.shape).astype(np.float32)
    params["localiser"] = params["localiser"] | {"zero_kernel": 0.01 * drawn}

    def loss(params):
        output, updated = SMALL.apply(
            {"params": params, **state}, x, train=True, mutable=["batch_stats"]
        )
        return jnp.sum(output.logits**2), updated

    with (
        jax.numpy_rank_promotion("raise"),
        jax.checking_leaks(),
        jax.debug_key_reuse(True),
    ):
        (_, updated), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    for path, leaf in flax.traverse_util.flatten_dict(gradient, sep="/").items():
        assert np.isfinite(leaf).all(), path
        assert not path.endswith("kernel") or np.abs(leaf).max() > 0, path
    moved = jax.tree.map(lambda a, b: not np.allclose(a, b), updated, state)
    assert all(jax.tree.leaves(moved))


@pytest.mark.slow
def test_remat_changes_neither_names_nor_numbers(variables, output):
    remat = SMALL.clone(remat=True)
    assert jax.tree.structure(abstract_variables(remat, SHAPE)) == jax.tree.structure(
        dict(variables)
    )
    x, state = images(2, *SHAPE), {"batch_stats": variables["batch_stats"]}

    def total(params, model):
        return jnp.sum(model.apply({"params": params, **state}, x).logits ** 2)

    gradient = jax.jit(jax.grad(total), static_argnums=1)
    for mine, theirs in zip(
        jax.tree.leaves(gradient(variables["params"], remat)),
        jax.tree.leaves(gradient(variables["params"], SMALL)),
        strict=True,
    ):
        scale = np.abs(theirs).max() + 1e-3
        np.testing.assert_allclose(mine / scale, theirs / scale, atol=1e-3)


def test_the_head_is_the_same_layer_in_every_zone():
    """Against loops in numpy, on a map whose sides are multiples of the grid's."""
    x = images(2, 6, 4, 5)
    head = ZoneHead(12)
    kernel = images(5, 2)
    bias = generator(0, "b").normal(size=(6, 2)).astype(np.float32)
    weights = {"params": {"kernel": kernel, "bias": bias}}
    logits, evidence = head.apply(weights, x, False)
    for b in range(2):
        for z in range(6):
            row, column = z % 3, z // 3  # down one lung, then down the other
            zone = x[b, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected = zone.mean((0, 1)) @ kernel + bias[z]
            np.testing.assert_allclose(
                logits.reshape(2, 6, 2)[b, z], expected, rtol=1e-4, atol=1e-5
            )
    np.testing.assert_allclose(
        evidence[:, 0], np.einsum("bhwc,ck->bhwk", x, kernel), 1e-3
    )


@pytest.mark.parametrize("shape", [(6, 4), (7, 5), (2, 1)])
def test_shares_are_an_average_over_each_zone(shape):
    weights = shares(*shape)
    np.testing.assert_allclose(weights.sum((1, 2)), np.ones(6), rtol=1e-6)
    np.testing.assert_allclose(weights.sum(0), 6 / np.prod(shape), rtol=1e-5)


@pytest.mark.parametrize("outputs", [2, 0, 25])
def test_outputs_that_are_not_a_multiple_of_six_are_refused(outputs):
    with pytest.raises(InputError, match="six|there are 6 zones"):
        abstract_variables(BSNet(outputs), SHAPE)
