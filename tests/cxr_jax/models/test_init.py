from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from cxr_jax.models import MODELS
from cxr_jax.models.convnext import ConvNeXt
from cxr_jax.models.init import initialise


@pytest.mark.parametrize(
    "name", ["cnn", "s4_cnn", "resnet18", "densenet121", "vit_s16"]
)
def test_the_tree_is_that_of_linens_init(name):
    model, shape = MODELS[name](3), (64, 64, 1)
    params, state = initialise(model, shape, seed=0)
    expected = jax.eval_shape(
        partial(model.init, train=False), jax.random.key(0), jnp.zeros((1, *shape))
    )
    ours = {"params": params, **state}
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    for mine, theirs in zip(
        jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True
    ):
        assert isinstance(mine, np.ndarray)
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)


def test_draws_have_the_spread_of_their_scheme():
    params, _ = initialise(MODELS["resnet18"](10), (64, 64, 1), seed=0)
    kernel = params["layer4_0"]["conv1"]["kernel"]  # 3 x 3, 256 -> 512: fan out
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 512)), rel=0.01)
    assert abs(kernel.mean()) < 4 * kernel.std() / np.sqrt(kernel.size)
    dense = params["fc"]["kernel"]
    assert dense.std() == pytest.approx(1 / np.sqrt(3 * 512), rel=0.05)
    assert np.abs(dense).max() <= 1 / np.sqrt(512)

    params, _ = initialise(MODELS["densenet121"](10), (64, 64, 1), seed=0)
    kernel = params["denseblock4_denselayer1"]["conv2"]["kernel"]  # 128 -> 32: fan in
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 128)), rel=0.02)

    params, _ = initialise(MODELS["s3_cnn"](1), (256, 256, 3), seed=0)
    for kernel, fans in (
        (params["conv2"]["kernel"], 9 * (64 + 32)),
        (params["dense1"]["kernel"], 1568 + 256),
    ):
        assert kernel.std() == pytest.approx(np.sqrt(2 / fans), rel=0.02)
        assert np.abs(kernel).max() <= np.sqrt(6 / fans)


def test_constants():
    params, state = initialise(MODELS["cnn"](2), (32, 32, 1), seed=0)
    norm, stats = params["stage1_bn1"], state["batch_stats"]["stage1_bn1"]
    assert (norm["scale"] == 1).all() and (norm["bias"] == 0).all()
    assert (stats["var"] == 1).all() and (stats["mean"] == 0).all()
    assert (params["fc"]["bias"] == 0).all()


def test_transformers_start_from_a_truncated_normal():
    params, _ = initialise(MODELS["vit_s16"](10), (64, 64, 1), seed=0)
    # The deviation of a normal cut at two of its own (scipy.stats.truncnorm).
    spread = 0.02 * scipy.stats.truncnorm(-2, 2).std()
    for leaf in (
        params["patch_embed_proj"]["kernel"],
        params["blocks_3"]["mlp"]["fc1"]["kernel"],
        params["position_embedding"],
    ):
        assert leaf.std() == pytest.approx(spread, rel=0.05)
        assert 0.035 < np.abs(leaf).max() <= 0.04
    assert (params["class_token"] == 0).all()
    model = ConvNeXt(10, depths=(1,), widths=(8,))
    params, _ = initialise(model, (64, 64, 1), seed=0)
    assert (params["features_1_0"]["layer_scale"] == np.float32(1e-6)).all()


def test_a_leaf_depends_only_on_seed_path_and_shape():
    small, _ = initialise(MODELS["resnet18"](2), (64, 64, 1), seed=0)
    large, _ = initialise(MODELS["resnet34"](7), (96, 64, 1), seed=0)
    other, _ = initialise(MODELS["resnet18"](2), (64, 64, 1), seed=1)

    def kernel(params):
        return params["layer2_1"]["conv2"]["kernel"]

    # A deeper net with another head and image size: the shared leaf is the same.
    np.testing.assert_array_equal(kernel(small), kernel(large))
    assert not np.array_equal(kernel(small), kernel(other))
    assert not np.array_equal(kernel(small), small["layer2_1"]["conv1"]["kernel"])


def test_a_leaf_without_a_rule_is_named():
    class Odd(nn.Module):
        scheme: str = "he_fan_in"

        @nn.compact
        def __call__(self, x, *, train):
            return x * self.param("gamma", nn.initializers.ones, (1, 1, 1, 1))

    with pytest.raises(ValueError, match="gamma"):
        initialise(Odd(), (8, 8, 1), seed=0)
