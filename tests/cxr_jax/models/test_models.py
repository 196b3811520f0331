"""Names, shapes and one real step of every family."""

from functools import partial

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models import MODELS
from cxr_jax.models.convnext import ConvNeXt
from cxr_jax.models.densenet import DenseNet
from cxr_jax.models.efficientnet import EfficientNet
from cxr_jax.models.efficientnet import Stage as Scaled
from cxr_jax.models.init import abstract_variables, initialise
from cxr_jax.models.mobilenet import MobileNet, Stage
from cxr_jax.models.mobilenet_v1 import MobileNetV1
from cxr_jax.models.resnet import ResNet
from cxr_jax.models.resnet_v2 import ResNetV2
from cxr_jax.models.squeezenet import SqueezeNet
from cxr_jax.models.vgg import VGG
from cxr_jax.models.vit import VisionTransformer
from cxr_jax.rng import generator


def names(tree):
    return set(flax.traverse_util.flatten_dict(tree, sep="/"))


def images(*shape):
    return generator(0, "images").normal(size=shape).astype(np.float32)


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


def halved(height, times):
    """Rounded up each time: strides with padding."""
    return -(-height // 2**times)


def squeezed(height, times):
    height = (height - 3) // 2 + 1
    for _ in range(times):  # pooling counts the window that the border cuts
        height = -(-(height - 3) // 2) + 1
    return height


# {model: (its settings, the height of map 1, 2, ... for a picture's)}
MAPS = {
    # The full size in the first.
    "cnn": ({}, lambda height, i: height // 2 ** (i - 1)),
    "vgg16": ({"hidden": ()}, lambda height, i: height // 2 ** (i - 1)),
    # Odd sizes round up with strides and down where pooling is VALID.
    "densenet121": ({}, lambda height, i: halved(height, 2) // 2 ** (i - 1)),
    "mobilenet_v1": ({}, lambda height, i: halved(height, 1) // 2**i),
    "squeezenet1_1": ({}, lambda height, i: squeezed(height, i - 1)),
    "convnext_tiny": ({}, lambda height, i: height // 2 ** (i + 1)),
    "vit_s16": ({}, lambda height, i: height // 16),
}
for _name in ("resnet34", "resnet50", "resnet50_v2", "mobilenet_v2", "efficientnet_b0"):
    MAPS[_name] = ({}, lambda height, i: halved(height, i + 1))


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize(
    "shape, pool", [((64, 96, 1), "global"), ((75, 90, 3), "grid")]
)
def test_shapes_for_any_size_channels_and_head(name, shape, pool):
    settings, height = MAPS[name]
    model = MODELS[name](6, dtype=jnp.bfloat16, pool=pool, **settings)
    variables = abstract_variables(model, shape)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    output, updated = jax.eval_shape(
        lambda *arguments: model.apply(
            *arguments,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(0)},
        ),
        variables,
        jax.ShapeDtypeStruct((2, *shape), jnp.float32),
    )
    assert output.logits.shape == (2, 6)
    assert output.logits.dtype == jnp.float32
    count = 5 if name == "vgg16" else 4
    assert list(output.features) == [f"stage{i + 1}" for i in range(count)]
    for i, leaf in enumerate(output.features.values(), 1):
        assert leaf.dtype == jnp.bfloat16
        assert leaf.shape[:3] == (2, height(shape[0], i), height(shape[1], i)), i
    kept = variables.get("batch_stats", {})
    assert jax.tree.map(jnp.shape, updated.get("batch_stats", {})) == jax.tree.map(
        jnp.shape, kept
    )


MOBILENET = MobileNet(2, stages=(Stage(1, 4, 1, 1), Stage(2, 8, 2, 2)), stem=4, last=16)
EFFICIENTNET = EfficientNet(
    2, stages=(Scaled(1, 8, 1, 1, 3), Scaled(6, 8, 2, 2, 5)), drop_path=0.3
)

# One pass is less work than compiling well.
FAST = {"xla_backend_optimization_level": 0}

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
    "resnet_v2": (ResNetV2(2, depths=(2, 1)), (32, 32, 1)),
    "vgg": (VGG(2, depths=(1,) * 5, hidden=(8,), dropout=0.2), (32, 32, 1)),
    "mobilenet_v1": (
        MobileNetV1(2, blocks=((16, 1), (32, 2), (32, 2)), alpha=0.25, hidden=(4,)),
        (32, 32, 1),
    ),
    "squeezenet": (SqueezeNet(2, stages=((2,), (3,))), (32, 32, 1)),
    "efficientnet": (EFFICIENTNET, (32, 32, 1)),
    "convnext": (ConvNeXt(2, depths=(1, 2), widths=(8, 16)), (32, 32, 1)),
    "vit": (
        VisionTransformer(2, patch=8, width=16, depth=4, heads=2, drop_path=0.3),
        (32, 40, 1),
    ),
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
        step = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=FAST)
        (_, updated), gradient = step(params, jax.random.key(1))
    for path, leaf in flax.traverse_util.flatten_dict(gradient, sep="/").items():
        assert np.isfinite(leaf).all(), path
        # A bias straight before batch norm has no gradient; every kernel has one.
        assert not path.endswith("kernel") or np.abs(leaf).max() > 0, path
    if state:
        moved = jax.tree.map(lambda a, b: not np.allclose(a, b), updated, state)
        assert any(jax.tree.leaves(moved))
    else:
        assert not updated


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["cnn", "basic", "densenet", "mobilenet", "vgg", "efficientnet"],
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
    gradient = jax.jit(
        jax.value_and_grad(loss, has_aux=True), static_argnums=1, compiler_options=FAST
    )
    for mine, theirs in zip(
        jax.tree.leaves(gradient(params, remat)),
        jax.tree.leaves(gradient(params, model)),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


def test_remat_keeps_less_for_the_backward_pass():
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


def test_densenet_norms_see_the_moments_of_all_earlier_maps():
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


def test_grid_head_distinguishes_zones_and_the_global_one_does_not():
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


def test_every_trunk_takes_the_head_by_zones():
    for name in ("vgg16", "resnet18", "convnext_tiny", "vit_s16"):
        settings = {"hidden": ()} if name == "vgg16" else {}
        model = MODELS[name](24, pool="zones", **settings)
        variables = abstract_variables(model, (64, 64, 1))
        kernels = [
            leaf.shape
            for path, leaf in flax.traverse_util.flatten_dict(
                variables["params"], sep="/"
            ).items()
            if path.startswith(("fc", "head", "classifier")) and len(leaf.shape) == 2
        ]
        # The four levels of a zone; each zone has a bias of its own.
        assert {shape[1] for shape in kernels} == {4}, name


def test_an_unknown_pool_is_named():
    with pytest.raises(ValueError, match="'max'.*global, grid, zones"):
        abstract_variables(MODELS["cnn"](2, pool="max"), (32, 32, 1))
