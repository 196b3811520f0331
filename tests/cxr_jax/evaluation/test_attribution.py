"""Maps against closed forms and finite differences."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.evaluation import attribution
from cxr_jax.models import MODELS, layers
from cxr_jax.models.init import initialise
from cxr_jax.rng import generator
from tfds_builders.common.errors import InputError


class Linear(nn.Module):
    """One output: a weight for every pixel."""

    num_outputs: int = 1
    pool: str = "global"

    @nn.compact
    def __call__(self, images, *, train=False):
        logits = nn.Dense(1, name="dense")(images.reshape(len(images), -1))
        return layers.Output(logits, {"stage1": images})


def first(logits):
    return logits[:, 0]


@pytest.fixture
def linear():
    g = generator(0, "linear")
    images = g.normal(size=(2, 16, 16, 1)).astype(np.float32)
    weights = g.normal(size=(256, 1)).astype(np.float32)
    params = {"dense": {"kernel": weights, "bias": np.ones(1, np.float32)}}
    return Linear(), {"params": params}, images, weights.reshape(16, 16)


def test_integrated_gradients_of_a_linear_model(linear):
    model, variables, images, weights = linear
    found = attribution.integrated_gradients(model, variables, images, first)
    mean = images.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found, (weights * (images - mean)[..., 0]), atol=1e-4)


def test_occlusion_of_a_linear_model(linear):
    model, variables, images, weights = linear
    found = attribution.occlusion(model, variables, images, first, tiles=4)
    mean = images.mean(axis=(1, 2), keepdims=True)
    pull = (weights * (images - mean)[..., 0]).reshape(2, 4, 4, 4, 4)
    tiles = pull.sum(axis=(2, 4))
    np.testing.assert_allclose(np.asarray(found)[:, ::4, ::4], tiles, atol=1e-3)
    assert len(np.unique(np.asarray(found)[0])) == 16


@pytest.fixture(scope="module")
def resnet():
    model = MODELS["resnet18"](3)
    params, state = initialise(model, (64, 64, 1), seed=0)
    images = generator(0, "cam").normal(size=(2, 64, 64, 1)).astype(np.float32)
    return model, {"params": params, **state}, jnp.asarray(images)


def test_integrated_gradients_add_up(resnet):
    model, variables, images = resnet
    found = attribution.integrated_gradients(model, variables, images, first)
    mean = jnp.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    logits = [model.apply(variables, x, train=False).logits for x in (images, mean)]
    difference = first(logits[0]) - first(logits[1])
    np.testing.assert_allclose(found.sum(axis=(1, 2)), difference, rtol=0.05, atol=0.05)


def test_grad_cam_under_a_global_pool_is_the_weighted_map(resnet):
    """Class activation mapping (Zhou et al. 2016), divided by the size of the map."""
    model, variables, images = resnet
    found = attribution.grad_cam(model, variables, images, first)
    last = model.apply(variables, images, train=False).features["stage4"]
    kernel = variables["params"]["fc"]["kernel"][:, 0]
    small = np.maximum(np.asarray(last) @ kernel, 0) / 4
    assert found.shape == (2, 64, 64) and float(found.min()) >= 0
    # The corners of a bilinear enlargement are those of the small map.
    corners = np.asarray(found)[:, ::63, ::63]
    np.testing.assert_allclose(corners, small, rtol=1e-4, atol=1e-6)


def test_grad_cam_under_a_hidden_layer_is_the_gradient_of_the_head():
    model = MODELS["cnn"](3, widths=(4, 4), pool="tiles")
    params, state = initialise(model, (32, 32, 1), seed=0)
    images = jnp.asarray(generator(0, "cam").normal(size=(2, 32, 32, 1)), jnp.float32)
    output = model.apply({"params": params, **state}, images, train=False)
    small, gap = attribution.small_map(model, params, output, first)
    assert gap <= attribution.TOLERANCE
    last = np.asarray(attribution.last_map(output))
    dense = {name: np.asarray(params[name]["kernel"]) for name in ("projection", "fc")}
    rows, columns = np.array(last.shape[1:3]) // 2
    tiled = last[:, : 2 * rows, : 2 * columns]
    flat = tiled.reshape(2, rows, 2, columns, 2, -1).mean(axis=(2, 4)).reshape(2, -1)
    hidden = flat @ dense["projection"] > 0
    back = (hidden * dense["fc"][:, 0]) @ dense["projection"].T
    # A tile of 2 x 2 shares the gradient; channels are averaged over the whole map.
    share = back.reshape(2, rows * columns, -1).sum(axis=1) / np.prod(last.shape[1:3])
    expected = np.maximum((last * share[:, None, None]).sum(axis=-1), 0)
    np.testing.assert_allclose(small, expected, rtol=1e-4, atol=1e-6)


def test_a_model_with_layers_between_map_and_head_is_refused(linear):
    model, variables, images, _ = linear
    with pytest.raises(InputError, match="integrated gradients or occlusion"):
        attribution.grad_cam(model, variables, images, first)


def test_random_parameters_give_another_map(resnet):
    model, variables, images = resnet
    other = attribution.randomised(model, variables, (64, 64, 1), seed=1)
    maps = [attribution.grad_cam(model, v, images, first) for v in (variables, other)]
    assert not np.allclose(*maps)
    again = attribution.randomised(model, variables, (64, 64, 1), seed=0)
    same = attribution.grad_cam(model, again, images, first)
    np.testing.assert_allclose(same, maps[0], rtol=1e-5)


def test_the_share_inside_a_mask():
    maps = np.array([[[3.0, 1.0], [-5.0, 0.0]], [[-1.0, 0.0], [0.0, 0.0]]])
    masks = np.array([[[True, False], [True, True]]] * 2)
    found = attribution.share_inside(maps, masks)
    assert found[0] == 0.75 and np.isnan(found[1])


def test_grad_cam_is_refused_where_a_dense_layer_narrows_the_map():
    model = MODELS["s1_cnn"](1)
    params, state = initialise(model, (64, 64, 1), seed=0)
    images = jnp.zeros((1, 64, 64, 1))
    with pytest.raises(InputError, match="integrated gradients or occlusion"):
        attribution.grad_cam(model, {"params": params, **state}, images, first)
