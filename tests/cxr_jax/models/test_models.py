"""Counts, names, shapes and one real pass of every model.

Counts of the torchvision families are torchvision's published ones; S3's and S4's
are those of the Keras summaries they reproduce.
"""

from functools import partial

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models import MODELS
from cxr_jax.models.densenet import DenseNet
from cxr_jax.models.init import abstract_variables, initialise
from cxr_jax.models.mobilenet import MobileNet, Stage
from cxr_jax.models.resnet import ResNet
from cxr_jax.rng import generator


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def names(tree):
    return set(flax.traverse_util.flatten_dict(tree, sep="/"))


def images(*shape):
    return generator(0, "images").normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "name, outputs, shape, trained, state",
    [
        ("s3_cnn", 1, (256, 256, 3), 422_177, 0),
        ("s4_cnn", 4, (299, 299, 1), 2_900_868, 2_943_428 - 2_900_868),
        ("resnet18", 1000, (224, 224, 3), 11_689_512, 9_600),
        ("resnet34", 1000, (224, 224, 3), 21_797_672, 17_024),
        ("resnet50", 1000, (224, 224, 3), 25_557_032, 53_120),
        ("densenet121", 1000, (224, 224, 3), 7_978_856, 83_648),
        ("mobilenet_v2", 1000, (224, 224, 3), 3_504_872, 34_112),
    ],
)
def test_parameter_count_is_the_published_one(name, outputs, shape, trained, state):
    variables = abstract_variables(MODELS[name](outputs), shape)
    assert size(variables.pop("params")) == trained
    assert size(variables) == state


def test_names_are_shaped_like_torchvisions():
    resnet = names(abstract_variables(MODELS["resnet50"](2), (64, 64, 1))["params"])
    assert {
        "conv1/kernel",
        "bn1/scale",
        "layer1_0/conv3/kernel",
        "layer1_0/downsample_conv/kernel",
        "layer1_0/downsample_bn/bias",
        "layer4_2/bn3/bias",
        "fc/kernel",
    } <= resnet
    assert "layer1_1/downsample_conv/kernel" not in resnet
    basic = names(abstract_variables(MODELS["resnet18"](2), (64, 64, 1))["params"])
    assert "layer1_0/downsample_conv/kernel" not in basic
    assert "layer2_0/downsample_conv/kernel" in basic
    mobilenet = names(
        abstract_variables(MODELS["mobilenet_v2"](2), (64, 64, 1))["params"]
    )
    assert {
        "features_0_0/kernel",
        "features_1/conv_0_0/kernel",
        "features_1/conv_1/kernel",
        "features_1/conv_2/scale",
        "features_17/conv_0_1/bias",
        "features_17/conv_2/kernel",
        "features_18_1/scale",
        "classifier_1/kernel",
    } <= mobilenet
    densenet = names(
        abstract_variables(MODELS["densenet121"](2), (64, 64, 1))["params"]
    )
    assert {
        "conv0/kernel",
        "norm0/scale",
        "denseblock1_denselayer1/norm1/scale",
        "denseblock4_denselayer16/conv2/kernel",
        "transition3/conv/kernel",
        "norm5/bias",
        "classifier/bias",
    } <= densenet


@pytest.mark.parametrize(
    "name", ["cnn", "resnet34", "resnet50", "densenet121", "mobilenet_v2"]
)
@pytest.mark.parametrize("shape", [(64, 64, 1), (75, 90, 3)])
@pytest.mark.parametrize("pool", ["global", "grid"])
def test_shapes_for_any_size_and_channels(name, shape, pool):
    model = MODELS[name](5, dtype=jnp.bfloat16, pool=pool)
    variables = abstract_variables(model, shape)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    output, updated = jax.eval_shape(
        partial(model.apply, train=True, mutable=["batch_stats"]),
        variables,
        jax.ShapeDtypeStruct((2, *shape), jnp.float32),
    )
    assert output.logits.shape == (2, 5)
    assert output.logits.dtype == jnp.float32
    assert list(output.features) == ["stage1", "stage2", "stage3", "stage4"]
    heights = [leaf.shape[1] for leaf in output.features.values()]
    # cnn keeps the full size in stage1; the others divide by 4 before it. Odd sizes
    # round up with strides and down where pooling is VALID.
    height = shape[0]
    if name == "cnn":
        expected = [height, height // 2, height // 4, height // 8]
    elif name != "densenet121":
        expected = [-(-height // 2**i) for i in (2, 3, 4, 5)]
    else:
        expected = [-(-height // 4) // 2**i for i in range(4)]
    assert heights == expected
    assert jax.tree.map(jnp.shape, updated["batch_stats"]) == jax.tree.map(
        jnp.shape, variables["batch_stats"]
    )


MOBILENET = MobileNet(2, stages=(Stage(1, 4, 1, 1), Stage(2, 8, 2, 2)), stem=4, last=16)

# Small enough to compile in seconds; the full residual and dense nets repeat these
# blocks and are checked by shape above.
SMALL = {
    "cnn": (MODELS["cnn"](3, widths=(4, 8), pool="grid", dropout=0.5), (32, 32, 1)),
    "s3_cnn": (MODELS["s3_cnn"](1), (64, 64, 3)),
    "s4_cnn": (MODELS["s4_cnn"](4), (16, 16, 1)),
    "basic": (ResNet(2, depths=(1, 1)), (32, 32, 1)),
    "bottleneck": (ResNet(2, depths=(1, 1), bottleneck=True), (32, 32, 3)),
    "densenet": (DenseNet(2, depths=(2, 2), growth=4, stem=8), (32, 32, 1)),
    "mobilenet": (MOBILENET, (32, 32, 1)),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_step_under_the_strict_settings(name):
    model, shape = SMALL[name]
    params, state = initialise(model, shape, seed=0)
    x = images(4, *shape)

    def loss(params, key):
        output, updated = model.apply(
            {"params": params, **state},
            x,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        return jnp.sum(output.logits**2), updated

    with (
        jax.numpy_rank_promotion("raise"),
        jax.checking_leaks(),
        jax.debug_key_reuse(True),
    ):
        (_, updated), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(
            params, jax.random.key(1)
        )
    for path, leaf in flax.traverse_util.flatten_dict(gradient, sep="/").items():
        assert np.isfinite(leaf).all(), path
        # A bias straight before batch norm has no gradient; every kernel has one.
        assert not path.endswith("kernel") or np.abs(leaf).max() > 0, path
    if state:
        moved = jax.tree.map(lambda a, b: not np.allclose(a, b), updated, state)
        assert any(jax.tree.leaves(moved))
    else:
        assert not updated


@pytest.mark.parametrize(
    "name", ["cnn", "basic", "bottleneck", "densenet", "mobilenet"]
)
def test_remat_changes_neither_names_nor_numbers(name):
    model, shape = SMALL[name]
    params, state = initialise(model, shape, seed=0)
    x = images(4, *shape)

    def loss(params, model):
        output, updated = model.apply(
            {"params": params, **state},
            x,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(1)},
        )
        return jnp.sum(output.logits**2), (output, updated)

    remat = model.clone(remat=True)
    assert names(abstract_variables(remat, shape)) == names({"params": params, **state})
    gradient = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)
    for mine, theirs in zip(
        jax.tree.leaves(gradient(params, remat)),
        jax.tree.leaves(gradient(params, model)),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


def test_remat_keeps_less_for_the_way_back():
    kept = {}
    for remat in (False, True):
        model = DenseNet(2, depths=(8,), growth=8, stem=8, remat=remat)
        params, state = initialise(model, (32, 32, 1), seed=0)

        def logits(params, model=model, state=state):
            return model.apply(
                {"params": params, **state},
                images(2, 32, 32, 1),
                train=True,
                mutable=["batch_stats"],
            )[0].logits

        pullback = jax.eval_shape(lambda p, f=logits: jax.vjp(f, p)[1], params)
        kept[remat] = sum(leaf.size for leaf in jax.tree.leaves(pullback))
    assert kept[True] < 0.5 * kept[False]


def test_densenet_norms_see_the_moments_of_all_maps_before_them():
    model, shape = SMALL["densenet"]
    params, state = initialise(model, shape, seed=0)
    apply = jax.jit(partial(model.apply, train=True, mutable=["batch_stats"]))
    output, updated = apply({"params": params, **state}, images(4, *shape))
    block = np.asarray(output.features["stage1"])
    found = updated["batch_stats"]["transition1"]["norm"]
    mean, var = block.mean(axis=(0, 1, 2)), block.var(axis=(0, 1, 2))
    np.testing.assert_allclose(found["mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["var"], 0.9 + 0.1 * var, rtol=1e-4)


def test_evaluation_does_not_depend_on_the_rest_of_the_batch():
    model, shape = SMALL["cnn"]
    params, state = initialise(model, shape, seed=0)
    x = images(4, *shape)
    apply = partial(model.apply, {"params": params, **state}, train=False)
    together = apply(x).logits
    alone = jnp.concatenate([apply(x[i : i + 1]).logits for i in range(4)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_grid_head_tells_the_zones_apart_and_the_global_one_does_not():
    x = np.zeros((2, 48, 48, 1), np.float32)
    x[0, 8:12, 8:12] = 1  # the same spot in zone A
    x[1, 40:44, 40:44] = 1  # and in zone F
    differences = {}
    for pool in ("global", "grid"):
        model = MODELS["cnn"](6, widths=(4, 4), pool=pool)
        params, state = initialise(model, (48, 48, 1), seed=0)
        logits = model.apply({"params": params, **state}, x).logits
        differences[pool] = float(jnp.abs(logits[0] - logits[1]).max())
    assert differences["global"] < 1e-5
    assert differences["grid"] > 1e-3


def test_an_unknown_pool_is_named():
    with pytest.raises(ValueError, match="'max'.*global, grid"):
        abstract_variables(MODELS["cnn"](2, pool="max"), (32, 32, 1))
