"""What a graph computes, against JAX: every rule, and layouts in between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from onnx_graphs import assert_same, both

from cxr_jax.export.graph.convert import convert
from cxr_jax.ops.registry import make_preprocess
from tfds_builders.common.errors import InputError

pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
DRAW = np.random.default_rng(0)
KERNEL = DRAW.normal(size=(3, 3, 4, 8)).astype(np.float32)
DENSE = DRAW.normal(size=(4, 5)).astype(np.float32)
ROW = DRAW.normal(size=(1, 1, 1, 4)).astype(np.float32)
IMAGE = DRAW.normal(size=(1, 6, 7, 4)).astype(np.float32)
MATRIX = DRAW.normal(size=(5, 6)).astype(np.float32)


def convolved(x, **settings):
    numbers = ("NHWC", "HWIO", "NHWC")
    settings = {"window_strides": (1, 1), "padding": "SAME"} | settings
    return lax.conv_general_dilated(x, KERNEL, dimension_numbers=numbers, **settings)


ENTRYWISE = {
    "arithmetic": lambda x: (x + 2) * x - x / 3 + (1 - x) * ROW,
    "unary": lambda x: jnp.exp(x) + jnp.log(jnp.abs(x) + 1) + jnp.tanh(x) - x**3,
    "roots": lambda x: lax.rsqrt(x * x + 1) + jnp.sqrt(jnp.abs(x)) + jnp.square(x),
    "sigmoid": lambda x: jax.nn.silu(x) + jax.nn.sigmoid(-x) + jax.nn.relu(x),
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "limits": lambda x: jnp.clip(x, 0, 0.5) + jnp.minimum(x, ROW) + jnp.maximum(x, -1),
    "rounding": lambda x: jnp.floor(3 * x) + jnp.ceil(x) + jnp.sign(x),
    "choice": lambda x: jnp.where((x > 0) & ~(x >= 1) | (x != ROW), x, 2 * ROW),
    "integers": lambda x: ((9 * x).astype(jnp.int32) // 4 % 3).astype(jnp.float32),
    "softmax": lambda x: jax.nn.softmax(x, axis=-1),
    "softmax of rows": lambda x: jax.nn.softmax(x, axis=1),
    "power": lambda x: (x * x + 1) ** -2 + x**4,
}
MOVED = {
    "transpose": lambda x: x.transpose(3, 1, 0, 2) * 2,
    "reshape": lambda x: x.reshape(1, 42, 4) + ROW[0],
    "reshape across": lambda x: x.reshape(7, 24),
    "tiles": lambda x: x[:, :, :6].reshape(1, 3, 2, 3, 2, 4).mean((2, 4)),
    "concatenate": lambda x: jnp.concatenate([x, 2 * x, jnp.ones((1, 6, 7, 1))], -1),
    "slice": lambda x: x[:, 1:5:2, ::3, 1:3],
    "pad": lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), constant_values=3.0),
    "flip": lambda x: x[:, ::-1, :, ::-1] * 1.5,
    "broadcast": lambda x: jnp.broadcast_to(x[..., :1], (1, 6, 7, 3)) * ROW[..., :3],
    "unstack": lambda x: sum(jnp.unstack(x, axis=3)),
    "sums": lambda x: (x.sum((1, 2)), x.max(-1), x.min(1), x.mean()),
    "cumulative sum": lambda x: jnp.cumsum(x, axis=1),
    "rows taken": lambda x: x[:, np.array([3, 0, 0, 5])],
    "places taken": lambda x: jnp.take_along_axis(
        x.reshape(1, 42, 4),
        (20 * jax.nn.sigmoid(x[..., 0])).astype(jnp.int32).reshape(1, 42, 1),
        axis=1,
        mode="promise_in_bounds",
    ),
}
PRODUCTS = {
    "dense": lambda x: x @ DENSE + 1,
    "dense of a map": lambda x: convolved(x) @ np.ones((8, 3), np.float32),
    "batched": lambda x: jnp.einsum("bhwc,bhvc->bhwv", x, x),
    "swapped": lambda x: jnp.einsum("rh,bhwc->bwrc", MATRIX, x),
    "two axes": lambda x: jnp.einsum("bhwc,hwk->bck", x, IMAGE[0, :, :, :2]),
    "outer": lambda x: x[:, :2, 0, 0].T @ x[:, :3, 1, 1],
    "convolution": convolved,
    "strided": lambda x: convolved(x, window_strides=(2, 3), padding=((0, 1), (2, 0))),
    "dilated": lambda x: convolved(x, rhs_dilation=(2, 2)),
    "depthwise": lambda x: lax.conv_general_dilated(
        x,
        KERNEL[:, :, :1, :4],
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=4,
    ),
    "convolution of grey": lambda x: convolved(
        jnp.broadcast_to(x[..., :1], (1, 6, 7, 4)) * 2
    ),
    "largest of windows": lambda x: lax.reduce_window(
        x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
    ),
    "sum of windows": lambda x: lax.reduce_window(
        x, 0.0, lax.add, (1, 3, 2, 1), (1, 1, 2, 1), "SAME"
    ),
}
FUNCTIONS = ENTRYWISE | MOVED | PRODUCTS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_that_of_jax(name):
    assert_same(FUNCTIONS[name], IMAGE)


@pytest.mark.parametrize("name", [*ENTRYWISE, *MOVED])
def test_it_is_so_behind_a_convolution_too(name):
    """Where axes lie in another order, and norms are folded."""
    assert_same(lambda x: FUNCTIONS[name](convolved(x)[..., 2:6] / 8), IMAGE)


@pytest.mark.parametrize(
    "text",
    [
        "resize(9)",
        "resize(4, 5)|standardise",
        "resize(5, method='nearest')",
        "to_rgb|normalise((0.4, 0.5, 0.6), (0.2, 0.3, 0.2))",
        "hide_middle(0.3)|border_only(0.2)",
        "equalise(64)",
        "complement|gamma(0.7)",
        "bcet",
        "clahe(2.0, 2)",
    ],
)
def test_preprocessing_is_in_the_graph(text):
    ops = make_preprocess(f"to_float|{text}", train=False, from_unit=True)
    image = DRAW.random((1, 13, 11, 1), np.float32)
    assert_same(lambda x: ops({"image": x}, None)["image"], image)


def test_the_spread_of_a_bright_film_keeps_its_digits():
    """Against float64: one after another, sums of a whole picture lose three digits."""

    def found(text):
        ops = make_preprocess(f"to_float|{text}", train=False, from_unit=True)
        _, (image,), _ = both(lambda x: ops({"image": x}, None)["image"], film)
        return image

    film = np.full((1, 120, 120, 1), 0.7, np.float32)
    film[:, :60] = 0.97
    resized = found("resize(96)").astype(np.float64)
    wanted = (resized - resized.mean()) / resized.std()
    assert np.abs(found("resize(96)|standardise") - wanted).max() < 5e-6


def test_gradients_are_in_the_graph():
    """As the heat map needs them."""

    def grad_cam(x):
        maps = convolved(x)
        scored = jax.grad(lambda m: (jax.nn.relu(m).mean((1, 2)) ** 2).sum())
        weights = scored(maps).mean((1, 2), keepdims=True)
        return jax.nn.relu((weights * maps).sum(-1))

    assert_same(grad_cam, IMAGE)


@given(
    st.permutations(range(4)),
    st.sampled_from([(6, 28), (1, 42, 4), (2, 3, 7, 4), (168,), (1, 6, 1, 7, 2, 2)]),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_any_order_of_axes(order, shape, first):
    def moved(x):
        x = convolved(x)[..., :4] if first else x
        return (x.transpose(order).reshape(shape) * 2).sum(0)

    assert_same(moved, IMAGE)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: lax.fori_loop(0, 30, lambda i, y: y + 1, x),
        lambda x: jnp.sort(x, axis=-1),
        lambda x: lax.conv_transpose(x, KERNEL, (2, 2), "SAME", transpose_kernel=False),
    ],
    ids=["loop", "sort", "transposed"],
)
def test_what_has_no_rule_is_refused(function):
    with pytest.raises(InputError, match="the model computes"):
        convert(lambda x: (function(x),), {"x": IMAGE.shape}, ("y",))
