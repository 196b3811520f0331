"""The model of zones: what learns from what, and its features against numpy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models import MODELS, init, lung_boxes, lung_zones
from launch import zone_ridge
from tfds_builders.common.errors import InputError

SIDE = 64
# Each program runs once or twice: less work than compiling well, or op by op.
FAST = {"xla_backend_optimization_level": 0}


@partial(jax.jit, static_argnums=0, compiler_options=FAST)
def apply(model, variables, images):
    """In evaluation."""
    return model.apply(variables, images, train=False)


@pytest.fixture(scope="module")
def model():
    return MODELS["mobilenet_v2_zones"](24)


@pytest.fixture(scope="module")
def variables(model):
    params, state = init.initialise(model, (SIDE, SIDE, 3), 0)
    return {"params": params, **state}


@pytest.fixture(scope="module")
def images():
    grey = np.random.default_rng(0).uniform(-1, 1, (2, SIDE, SIDE, 1))
    return np.repeat(grey, 3, axis=-1).astype(np.float32)


def gradients(model, variables, images, of):
    rest = {key: value for key, value in variables.items() if key != "params"}

    def total(params):
        output, _ = model.apply(
            {"params": params, **rest}, images, train=True, mutable=["batch_stats"]
        )
        return of(output)

    found = jax.jit(jax.grad(total), compiler_options=FAST)(variables["params"])
    return {
        name: float(sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(part)))
        for name, part in found.items()
    }


def test_trunk_is_that_of_mobilenet(model, variables, images):
    whole = MODELS["mobilenet_v2"](5)
    params, _ = init.initialise(whole, (SIDE, SIDE, 3), 0)
    shared = {k: variables["params"].get(k, v) for k, v in params.items()}
    state = {k: v for k, v in variables["batch_stats"].items() if k in shared}
    theirs = apply(whole, {"params": shared, "batch_stats": state}, images)
    ours = apply(model, variables, images)
    for name, each in theirs.features.items():
        np.testing.assert_array_equal(ours.features[name], each)


def test_scores_teach_the_linear_layer_alone(model, variables, images):
    weights = np.random.default_rng(1).normal(size=(2, 24)).astype(np.float32)
    moved = gradients(model, variables, images, lambda o: (o.logits * weights).sum())
    assert moved["zero_kernel"] > 0 and moved["bias"] > 0
    assert not any(v for k, v in moved.items() if k.startswith(("features", "lungs")))


def fitted(variables, seed=4):
    """Those with a linear layer, and a standardisation, that are drawn."""
    rng = np.random.default_rng(seed)
    params = dict(variables["params"])
    size = len(params["zero_kernel"])
    params["zero_kernel"] = rng.normal(0, 0.05, (size, 4)).astype(np.float32)
    mean, scale = rng.uniform(0.1, 1, (2, size)).astype(np.float32)
    params["standard"] = {"mean": mean, "scale": scale}
    return {**variables, "params": params}


def test_a_mirror_image_has_its_lungs_exchanged(variables, images):
    model = MODELS["mobilenet_v2_zones"](24, mirror=True)
    known = fitted(variables)
    plain = apply(MODELS["mobilenet_v2_zones"](24), known, images)
    one = apply(model, known, images)
    other = apply(model, known, images[:, :, ::-1])
    zones = np.asarray(one.logits).reshape(2, 6, 4)
    assert not np.allclose(zones[:, :3], zones[:, 3:], atol=1e-2)
    np.testing.assert_allclose(
        zones[:, [3, 4, 5, 0, 1, 2]], other.logits.reshape(2, 6, 4), atol=1e-4
    )
    for name in ("mask", "stage4"):
        np.testing.assert_allclose(one.features[name], plain.features[name], atol=1e-4)


def test_probabilities_are_those_of_the_ridge(model, variables, images):
    known = fitted(variables)
    output = apply(model, known, images)
    groups = [np.asarray(output.features[f"zones{i}"]) for i in (1, 2, 3, 4)]
    params = known["params"]
    found = zone_ridge.Fitted(
        **params["standard"], kernel=params["zero_kernel"], bias=0, penalty=1
    )
    np.testing.assert_allclose(
        jax.nn.softmax(output.logits.reshape(2, 6, 4)),
        zone_ridge.probabilities(found, groups),
        atol=1e-5,
    )


def test_masks_teach_the_decoder_alone(model, variables, images):
    moved = gradients(
        model, variables, images, lambda o: (o.features["mask"] ** 2).sum()
    )
    assert moved["lungs"] > 0
    assert not any(v for k, v in moved.items() if k != "lungs")


def test_all_zones_begin_equal(model, variables, images):
    output = apply(model, variables, images)
    np.testing.assert_array_equal(output.logits, np.zeros((2, 24), np.float32))
    assert output.features["mask"].shape == (2, SIDE, SIDE, 1)


def test_another_number_of_outputs_is_refused(images):
    with pytest.raises(InputError, match="24 outputs|levels"):
        MODELS["mobilenet_v2_zones"](3).init(jax.random.key(0), images)


def test_context_is_the_mean_of_a_lung_and_of_both():
    x = np.random.default_rng(2).normal(size=(3, 6, 5)).astype(np.float32)
    lungs, both = map(np.asarray, lung_zones.context(x))
    np.testing.assert_allclose(lungs[:, 1], x[:, :3].mean(1), atol=1e-6)
    np.testing.assert_allclose(lungs[:, 5], x[:, 3:].mean(1), atol=1e-6)
    np.testing.assert_allclose(both[:, 4], x.mean(1), atol=1e-6)


def test_statistics_of_pixels_are_those_of_numpy():
    rng = np.random.default_rng(3)
    grey = rng.uniform(-1, 1, (1, 48, 48, 1)).astype(np.float32)
    lung = np.ones((1, 48, 48, 1), np.float32)
    ends = [np.array([x], np.float32) for x in (0.0, 0.75)]
    sides = [np.array([x], np.float32) for x in ([0, 0.5], [0.5, 1])]
    statistics = jax.jit(lung_zones.pixel_statistics, compiler_options=FAST)
    found = statistics(np.repeat(grey, 3, -1), lung, lung_boxes.Boxes(*ends, *sides))
    part = grey[0, 12:24, 24:, 0]  # zone E: the second third, on the right
    edges = np.abs(np.diff(grey[0, :, :, 0], axis=0, append=grey[0, -1:, :, 0]))
    edges += np.abs(np.diff(grey[0, :, :, 0], axis=1, append=grey[0, :, -1:, 0]))
    moments = [part.mean(), part.std(), edges[12:24, 24:].mean()]
    shares = [(part > lung_zones.DENSE).mean(), (part < lung_zones.AIR).mean()]
    np.testing.assert_allclose(
        found[0, 4], [1, 1, *moments, *moments, *shares], rtol=1e-4, atol=1e-5
    )
