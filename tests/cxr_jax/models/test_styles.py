"""What a model takes from torchvision and what from Keras, where they differ.

That the whole networks agree with theirs is tested in ../weights/test_parity.py.
"""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models import MODELS, vgg
from cxr_jax.models.init import abstract_variables, initialise
from cxr_jax.rng import generator
from tfds_builders.common.errors import InputError

ONLY_TORCH = ("resnet18", "resnet34", "vit_s16", "vit_b16")
ONLY_KERAS = ("resnet50_v2", "resnet101_v2", "mobilenet_v1", "s1_cnn")


@pytest.mark.parametrize(
    "name, style",
    [
        *((name, "keras") for name in ONLY_TORCH),
        *((name, "torch") for name in ONLY_KERAS),
        *(
            (name, "caffe")
            for name in (
                "vgg16",
                "resnet50",
                "densenet121",
                "mobilenet_v2",
                "squeezenet1_1",
                "efficientnet_b0",
                "convnext_tiny",
            )
        ),
    ],
)
def test_a_style_that_the_model_lacks_is_refused(name, style):
    with pytest.raises(InputError, match=f"config.model.style.*{style}"):
        abstract_variables(MODELS[name](2, style=style), (64, 64, 3))


def test_the_style_is_torch_unless_only_keras_has_the_model():
    for name in ONLY_KERAS:
        assert MODELS[name](2).style == "keras"
    for name in {*MODELS} - {*ONLY_KERAS}:
        if hasattr(MODELS[name](2), "style"):
            assert MODELS[name](2).style == "torch", name


def test_every_model_takes_the_common_settings():
    for name, make in MODELS.items():
        if name in ("s2_cnn", "s3_cnn", "s4_cnn", "bsnet", "mobilenet_v2_zones"):
            continue
        model = make(3, jnp.bfloat16, pool="grid", dropout=0.1, remat=True)
        assert (model.pool, model.dropout, model.remat) == ("grid", 0.1, True), name
        assert "num_outputs" in inspect.signature(make).parameters


def test_keras_has_biases_and_the_stride_in_the_first_convolution():
    shape = (64, 64, 3)
    torch, keras = (
        abstract_variables(MODELS["resnet50"](2, style=style), shape)["params"]
        for style in ("torch", "keras")
    )
    assert "bias" in keras["conv1"] and "bias" not in torch["conv1"]
    assert "bias" in keras["layer1_0"]["downsample_conv"]


def test_vgg_flattens_as_its_source_does():
    # One dense unit looks at one number of the flattened map of 7 x 7 x 512.
    x = generator(0, "x").random((1, 224, 224, 3)).astype(np.float32)
    for style, order in (("torch", (2, 0, 1)), ("keras", (0, 1, 2))):
        model = vgg.VGG(1, depths=(1, 1, 1, 1, 1), hidden=(1,), style=style)
        params, _ = initialise(model, (224, 224, 3), seed=0)
        kernel = np.zeros((7 * 7 * 512, 1), np.float32)
        kernel[1234] = 1
        params["classifier_0"]["kernel"] = kernel
        params["classifier_3"]["kernel"] = np.ones((1, 1), np.float32)
        output = model.apply({"params": params}, x)
        last = np.asarray(output.features["stage5"][0])
        pooled = last.reshape(7, 2, 7, 2, 512).max(axis=(1, 3))
        expected = pooled.transpose(order).ravel()[1234]
        np.testing.assert_allclose(output.logits[0, 0], expected, rtol=1e-5)


def test_vgg_with_hidden_layers_refuses_another_pool():
    with pytest.raises(InputError, match="config.model.pool.*grid"):
        abstract_variables(MODELS["vgg16"](2, pool="grid"), (64, 64, 3))


@pytest.mark.parametrize("length", [1, 2, 5, 7, 10, 14, 16])
def test_adaptive_pool_averages_every_pixel_that_a_window_touches(length):
    x = generator(0, "x").normal(size=(1, length, length + 3, 2)).astype(np.float32)
    expected = np.zeros((1, 7, 7, 2))
    for i in range(7):
        for j in range(7):
            top, bottom = (np.floor(i * length / 7), np.ceil((i + 1) * length / 7))
            width = length + 3
            left, right = (np.floor(j * width / 7), np.ceil((j + 1) * width / 7))
            window = x[:, int(top) : int(bottom), int(left) : int(right)]
            expected[:, i, j] = window.mean(axis=(1, 2))
    np.testing.assert_allclose(
        vgg.adaptive_pool(jnp.asarray(x), 7), expected, atol=1e-6
    )


def test_the_published_head_of_squeezenet_has_the_same_leaves():
    shape = (64, 64, 3)
    ours, published = (
        abstract_variables(MODELS["squeezenet1_1"](5, published_head=there), shape)
        for there in (False, True)
    )
    assert ours == published
