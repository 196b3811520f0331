"""Against lax.conv_general_dilated, its gradients, and a convolution in float64."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from cxr_jax.models import convolution
from cxr_jax.models.layers import max_pool
from cxr_jax.rng import generator


def draw(*shape, name="x"):
    return generator(0, name).normal(size=shape).astype(np.float32)


def usual(x, kernel, stride, padding, groups=1):
    if not isinstance(padding, str):
        padding = ((padding, padding), (padding, padding))
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def differentiated(function):
    """-> f(*inputs): the value and the gradients of its product with fixed noise."""

    @jax.jit
    def all_of_them(*inputs):
        y, pullback = jax.vjp(function, *inputs)
        return y, *pullback(jnp.asarray(draw(*y.shape, name="dy"), y.dtype))

    return all_of_them


def with_gradients(function, *inputs):
    return tuple(map(np.asarray, differentiated(function)(*inputs)))


def assert_close(ours, theirs, tolerance=1e-5):
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape and mine.dtype == other.dtype
        scale = np.abs(np.asarray(other, np.float32)).max(initial=1e-30)
        np.testing.assert_allclose(
            np.asarray(mine, np.float32) / scale,
            np.asarray(other, np.float32) / scale,
            atol=tolerance,
        )


@pytest.mark.parametrize("side", [1, 2, 3])
@pytest.mark.parametrize(("size", "padding"), [(3, 1), (3, "SAME"), (5, 2), (7, 3)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_kernel_may_be_larger_than_its_map(side, size, padding, stride):
    """As in the last layers of a small picture; XLA is led past a slow way there."""
    x, kernel = draw(4, side, side + 1, 8), draw(size, size, 8, 6, name="k")
    ours = with_gradients(
        lambda x, k: convolution.convolve(x, k, stride, padding), x, kernel
    )
    assert_close(
        ours, with_gradients(lambda x, k: usual(x, k, stride, padding), x, kernel)
    )


@settings(max_examples=20, deadline=None)
@given(
    batch=st.integers(1, 4),
    height=st.integers(7, 12),
    width=st.integers(7, 12),
    channels=st.sampled_from([1, 3, 4]),
    features=st.sampled_from([1, 4]),
    size=st.sampled_from([1, 2, 3, 5, 7]),
    stride=st.integers(1, 3),
    padding=st.sampled_from(["SAME", "VALID", 0, 1, 3]),
)
def test_equals_the_usual_convolution(
    batch, height, width, channels, features, size, stride, padding
):
    x = draw(batch, height, width, channels)
    kernel = draw(size, size, channels, features, name="kernel")
    assert_close(
        with_gradients(
            lambda x, k: convolution.convolve(x, k, stride, padding), x, kernel
        ),
        with_gradients(lambda x, k: usual(x, k, stride, padding), x, kernel),
    )


@pytest.mark.parametrize("size, stride, side", [(3, 1, 28), (3, 2, 28), (7, 2, 56)])
def test_is_as_exact_as_float32_allows(size, stride, side):
    x, kernel = draw(8, side, side, 8), draw(size, size, 8, 8, name="kernel")
    ours = with_gradients(
        lambda x, k: convolution.convolve(x, k, stride, size // 2), x, kernel
    )
    with jax.enable_x64(True):
        exact = with_gradients(
            lambda x, k: usual(x, k, stride, size // 2),
            x.astype(np.float64),
            kernel.astype(np.float64),
        )
    for mine, right in zip(ours, exact, strict=True):
        assert np.abs(mine - right).max() < 5e-6 * np.abs(right).max()


def test_bfloat16_stays_bfloat16():
    x = jnp.asarray(draw(2, 8, 8, 3), jnp.bfloat16)
    kernel = jnp.asarray(draw(3, 3, 3, 4, name="kernel"), jnp.bfloat16)
    ours = with_gradients(lambda x, k: convolution.convolve(x, k, 1, 1), x, kernel)
    theirs = with_gradients(lambda x, k: usual(x, k, 1, 1), x, kernel)
    assert_close(ours, theirs, tolerance=2e-2)


@pytest.mark.parametrize("stride", [1, 2])
def test_composes_with_vmap_scan_and_checkpoint(stride):
    x, kernel = draw(3, 2, 9, 9, 4), draw(3, 3, 3, 4, 5, name="kernel")

    def gradients(x, kernel):
        def loss(x, kernel):
            return jnp.sum(jnp.sin(convolution.convolve(x, kernel, stride, 1)))

        return jax.grad(jax.checkpoint(loss), argnums=(0, 1))(x, kernel)

    def expected(x, kernel):
        return jax.grad(
            lambda x, kernel: jnp.sum(jnp.sin(usual(x, kernel, stride, 1))),
            argnums=(0, 1),
        )(x, kernel)

    alone = [expected(x[i], kernel[i]) for i in range(3)]
    alone = jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone)
    together = jax.jit(jax.vmap(gradients))(x, kernel)
    _, scanned = jax.jit(
        lambda x, kernel: lax.scan(lambda c, a: (c, gradients(*a)), 0, (x, kernel))
    )(x, kernel)
    assert_close(together, alone)
    assert_close(scanned, alone)


def lowered(platform):
    x, kernel = draw(4, 8, 8, 3), draw(3, 3, 3, 4, name="kernel")

    function = differentiated(lambda x, k: convolution.convolve(x, k, 2, 1))
    traced = function.trace(x, kernel)
    return traced.lower(lowering_platforms=(platform,)).as_text()


def test_the_program_for_a_cpu_has_the_fast_convolution_alone():
    # With other axes XLA:CPU falls back to a plain loop within lax.scan: 50 times
    # slower, and no test of numbers would notice.
    program = lowered("cpu")
    axes = "dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
    assert program.count("stablehlo.convolution") == program.count(axes) == 3


def test_the_program_for_a_gpu_is_the_usual_one():
    program = lowered("cuda")
    assert program.count("stablehlo.convolution") == 3
    assert "stablehlo.while" not in program


def test_members_take_turns_on_a_cpu_and_go_together_on_a_gpu():
    x, kernel = draw(3, 2, 8, 8, 4), draw(3, 3, 3, 4, 4, name="kernel")
    function = differentiated(
        jax.vmap(lambda x, k: convolution.convolve(x, k, 1, 1))
    ).trace(x, kernel)
    programs = {
        platform: function.lower(lowering_platforms=(platform,)).as_text()
        for platform in ("cpu", "cuda")
    }
    assert "stablehlo.while" in programs["cpu"]
    assert "stablehlo.while" not in programs["cuda"]
    # Groups on the CPU are 5 times slower.
    assert "feature_group_count = 3" not in programs["cpu"]
    assert "feature_group_count = 3" in programs["cuda"]


@settings(max_examples=10, deadline=None)
@given(
    height=st.integers(3, 9),
    width=st.integers(3, 9),
    size=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
    levels=st.sampled_from([2, 1000]),
)
def test_max_pool_and_its_gradient_equal_linens(
    height, width, size, stride, padding, levels
):
    # Few levels make many ties: the first of equal values gets the gradient.
    x = generator(0, "x").integers(0, levels, (2, height, width, 3))
    x = x.astype(np.float32)
    if padding >= size:
        padding = 0

    def theirs(x):
        sides = (padding, padding)
        x = jnp.pad(x, ((0, 0), sides, sides, (0, 0)))
        return nn.max_pool(x, window_shape=(size, size), strides=(stride, stride))

    def ours(x):
        return max_pool(x, size=size, stride=stride, padding=padding)

    mine, other = (with_gradients(function, x) for function in (ours, theirs))
    np.testing.assert_array_equal(mine[0], other[0])
    np.testing.assert_allclose(mine[1], other[1], rtol=1e-5, atol=1e-6)
