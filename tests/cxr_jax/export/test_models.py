"""Every model of MODELS as a graph: the same figures, and few nodes."""

import flax
import jax
import numpy as np
import pytest
from onnx_graphs import both

from cxr_jax.export.graph.convert import convert
from cxr_jax.export.graph.simplify import simplify
from cxr_jax.models import MODELS, init
from cxr_jax.models.convolution import plain

pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
# Of images that fit one size only, or need a larger one.
SHAPES = {"s2_cnn": (150, 150, 3), "s3_cnn": (256, 256, 3), "s4_cnn": (299, 299, 1)}
# A few seconds each on 2 cores; the others take up to a minute.
FAST = ("cnn", "s1_cnn", "s3_cnn", "resnet18", "mobilenet_v2", "squeezenet1_1")
# What a norm would leave that is in no convolution.
ALONE = {"Mul", "Sub", "Div", "Sqrt", "BatchNormalization", "Pad"}


def drawn(name):
    """(model, its variables with norms that do something, an image)."""
    shape = SHAPES.get(name, (96, 96, 1))
    model = MODELS[name](num_outputs=24)
    params, state = init.initialise(model, shape, 0)
    draw = np.random.default_rng(0)

    def moved(path, array):
        array = np.asarray(array)
        moves = array.ndim == 1 and path[-1] != "class_token"
        change = 0.2 * draw.random(array.shape) if moves else 0
        return (array + change).astype(np.float32)

    variables = flax.traverse_util.path_aware_map(moved, {"params": params, **state})
    return model, variables, draw.random((1, *shape), np.float32)


def applied(model, variables):
    def function(x):
        output = model.apply(variables, x, train=False)
        last = list(output.features.values())[-1]
        return output.logits, last.mean((1, 2)) if last.ndim == 4 else last

    return function


@pytest.mark.parametrize(
    "name",
    [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in MODELS],
)
def test_a_model_exports(name):
    model, variables, image = drawn(name)
    _, found, wanted = both(applied(model, variables), image)
    for one, other in zip(found, wanted, strict=True):
        assert np.abs(one - other).max() <= 1e-4 * max(1, np.abs(other).max())


def test_scores_of_lungs_that_are_found_export():
    """With a linear layer of drawn numbers: it begins at 0, which would hide the rest."""
    model, variables, image = drawn("mobilenet_v2_zones")
    kernel = np.random.default_rng(1).normal(size=(2406, 4)).astype(np.float32)
    variables["params"]["zero_kernel"] = kernel
    _, found, wanted = both(applied(model, variables), image)
    assert np.ptp(wanted[0]) > 1
    for one, other in zip(found, wanted, strict=True):
        assert np.abs(one - other).max() <= 1e-4 * max(1, np.abs(other).max())


def counted(name):
    model, variables, image = drawn(name)

    def traced(x):
        with plain():
            return (model.apply(variables, x, train=False).logits,)

    graph = convert(traced, {"x": image.shape}, ("y",))
    simplify(graph)
    return graph.count()


def test_resnet18_is_convolutions_relus_and_sums():
    found = counted("resnet18")
    assert found["Conv"] == 20 and found["Relu"] == 17 and found["Add"] == 8
    assert found["MaxPool"] == found["GlobalAveragePool"] == found["Gemm"] == 1
    assert not ALONE & set(found)
    assert sum(found.values()) <= 50


def test_mobilenet_clips_and_pads_within_its_convolutions():
    found = counted("mobilenet_v2")
    assert found["Conv"] == 52 and found["Clip"] == 35 and found["Add"] == 10
    assert not ALONE & set(found)


@pytest.mark.slow
def test_densenet_has_norms_only_where_no_convolution_can_take_them():
    found = counted("densenet121")
    assert found["Conv"] == 120 and found["AveragePool"] == 3
    assert found["BatchNormalization"] == 62 and "Mul" not in found


@pytest.mark.slow
def test_transformers_have_norms_softmax_and_gelu_as_such():
    found = counted("vit_s16")
    assert found["Softmax"] == found["Gelu"] == 12
    assert found["LayerNormalization"] == 25
    assert not {"Erf", "Exp", "Sqrt", "ReduceMax"} & set(found)


def test_grey_films_are_not_repeated_for_a_network_of_colours():
    """The kernel's channels are added instead: a third of the first convolution."""
    model = MODELS["resnet18"](num_outputs=2)
    params, state = init.initialise(model, (64, 64, 3), 0)

    def function(x):
        image = jax.numpy.broadcast_to(x, (1, 64, 64, 3))
        return model.apply({"params": params, **state}, image, train=False).logits

    image = np.random.default_rng(0).random((1, 64, 64, 1), np.float32)
    graph, (found,), (wanted,) = both(function, image)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    first = next(node for node in graph.nodes if node.op == "Conv")
    assert graph.constants[first.inputs[1]].shape == (64, 1, 7, 7)
