"""Axes, colours and position embeddings on the way from a source to ours."""

import numpy as np
import pytest

from cxr_jax.weights import layouts, names


def numbered(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_torch_kernels_are_transposed():
    kernel = numbered(5, 4, 3, 2)  # OIHW
    found = layouts.convert(kernel, "torch", "params/conv1/kernel", (3, 2, 4, 5))
    assert found.shape == (3, 2, 4, 5)
    assert found[2, 1, 3, 4] == kernel[4, 3, 2, 1]
    dense = numbered(2, 3)
    found = layouts.convert(dense, "torch", "params/fc/kernel", (3, 2))
    np.testing.assert_array_equal(found, dense.T)


def test_a_dense_layer_may_have_been_a_convolution():
    kernel = numbered(7, 4, 1, 1)
    found = layouts.convert(kernel, "torch", "params/c/kernel", (4, 7))
    np.testing.assert_array_equal(found, kernel[:, :, 0, 0].T)


def test_keras_depthwise_kernels_get_their_channels_last():
    kernel = numbered(3, 3, 4, 1)
    found = layouts.convert(kernel, "keras", "params/a/kernel", (3, 3, 1, 4))
    assert found.shape == (3, 3, 1, 4)
    np.testing.assert_array_equal(found[:, :, 0], kernel[:, :, :, 0])


def test_a_grey_stem_gives_what_three_equal_channels_gave():
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(3, 3, 3, 8)).astype(np.float32)
    grey = generator.normal(size=(3, 3, 1)).astype(np.float32)
    of_colours = np.tensordot(np.repeat(grey, 3, axis=2), kernel, 3)
    one = layouts.fit_channels(kernel, 1)
    np.testing.assert_allclose(np.tensordot(grey, one, 3), of_colours, rtol=1e-4)
    back = layouts.fit_channels(one, 3)
    colours = np.repeat(grey, 3, axis=2)
    np.testing.assert_allclose(np.tensordot(colours, back, 3), of_colours, rtol=1e-4)


@pytest.mark.parametrize("side", [3, 7, 14, 20])
def test_position_embeddings_keep_class_token_and_ramps(side):
    old = 14
    ramp = np.linspace(-1, 1, old, dtype=np.float32)
    embedding = np.zeros((1, 1 + old * old, 2), np.float32)
    embedding[0, 0] = 9.0
    embedding[0, 1:, 0] = np.repeat(ramp, old)
    embedding[0, 1:, 1] = 5.0
    found = layouts.fit_positions(embedding, (1, 1 + side * side, 2))
    assert found.shape == (1, 1 + side * side, 2)
    np.testing.assert_array_equal(found[0, 0], [9.0, 9.0])
    np.testing.assert_allclose(found[0, 1:, 1], 5.0, rtol=1e-5)
    # Pixel centres of the new grid on the old one; borders are not straight.
    centres = (np.arange(side) + 0.5) * old / side - 0.5
    reach = 2 * max(old / side, 1)  # of the cubic kernel
    inner = (centres > reach) & (centres < old - 1 - reach)
    rows = found[0, 1:, 0].reshape(side, side).mean(axis=1)
    wanted = np.interp(centres, np.arange(old), ramp)
    np.testing.assert_allclose(rows[inner], wanted[inner], atol=1e-3)


@pytest.mark.parametrize(
    "theirs, format, model, ours",
    [
        ("layer2.0.downsample.1.weight", "torch", "resnet50", "layer2_0/downsample_bn"),
        (
            "features.denseblock1.denselayer2.norm.1.weight",
            "torch",
            "densenet121",
            "denseblock1_denselayer2/norm1",
        ),
        ("block_16_project_BN/gamma", "keras", "mobilenet_v2", "features_17/conv_3"),
        ("fire9/expand3x3/kernel", "keras", "squeezenet1_1", "features_12/expand3x3"),
    ],
)
def test_names_of_sources(theirs, format, model, ours):
    leaf = "scale" if "bn" in ours or "norm" in ours or "BN" in theirs else "kernel"
    assert names.theirs(theirs, format, model) == names.ours(f"params/{ours}/{leaf}")


def test_counters_are_not_weights():
    assert not names.theirs("bn1.num_batches_tracked", "torch", "resnet18")
    assert not names.theirs("op_threshs", "torch", "densenet121")
