"""Against lax.conv_general_dilated, its gradients, and a convolution in float64.

`usual` is written here; that `plain()` is the same is tested too.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from cxr_jax.devices import sharding
from cxr_jax.models import convolution
from cxr_jax.models.layers import Conv, DepthwiseConv
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
def test_a_kernel_may_be_larger_than_its_image(side, size, padding, stride):
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


# (batch, side, channels, filters, size, stride, padding), and which of forward, the
# gradient of images and that of the kernel are products on a CPU.
IN_PARTS = {
    "one image at a time": ((3, 32, 2, 32, 3, 1, 1), (False, False, False)),
    "a stem, one image at a time": ((4, 64, 1, 32, 7, 2, 3), (False, False, False)),
    "eight at a time, the rest first": ((19, 16, 3, 4, 3, 1, 1), (False, False, False)),
    "products for the kernel": ((2, 6, 64, 96, 2, 2, 0), (False, False, True)),
    "products": ((3, 2, 64, 96, 3, 1, 1), (True, True, True)),
    "products, stride 2": ((2, 3, 64, 96, 3, 2, "SAME"), (True, True, True)),
    "products, not padded": ((2, 4, 64, 96, 3, 1, "VALID"), (True, True, True)),
    "products, for images alone": ((2, 2, 128, 32, 3, 1, 1), (True, True, False)),
}


@pytest.mark.parametrize("kind", IN_PARTS)
def test_what_is_summed_in_parts_equals_the_usual(kind):
    (batch, side, channels, filters, size, stride, padding), products = IN_PARTS[kind]
    x = draw(batch, side, side, channels)
    kernel = draw(size, size, channels, filters, name="kernel")
    function = differentiated(lambda x, k: convolution.convolve(x, k, stride, padding))
    assert_close(
        map(np.asarray, function(x, kernel)),
        with_gradients(lambda x, k: usual(x, k, stride, padding), x, kernel),
    )
    traced = function.trace(x, kernel)
    program = traced.lower(lowering_platforms=("cpu",)).as_text()
    assert program.count("stablehlo.dot_general") == size**2 * sum(products)


@pytest.mark.parametrize("kind", ["one image at a time", "products"])
def test_two_devices_sum_their_own_images(kind):
    (_, side, channels, filters, size, stride, padding), _ = IN_PARTS[kind]
    x = draw(4, side, side, channels)
    kernel = draw(size, size, channels, filters, name="kernel")
    mesh = sharding.make_mesh(len(x))
    placed = jax.device_put(x, sharding.by_example(mesh))
    everywhere = jax.device_put(kernel, sharding.replicated(mesh))
    function = differentiated(lambda x, k: convolution.convolve(x, k, stride, padding))
    assert_close(
        map(np.asarray, function(placed, everywhere)),
        with_gradients(lambda x, k: usual(x, k, stride, padding), x, kernel),
    )
    program = function.lower(placed, everywhere).compile().as_text()
    # The sum over devices alone: images stay where they are.
    assert "all-reduce" in program
    assert "all-gather" not in program and "all-to-all" not in program


@pytest.mark.parametrize("size, stride, side", [(3, 1, 28), (3, 2, 28), (7, 2, 56)])
def test_it_is_as_exact_as_float32_allows(size, stride, side):
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


@pytest.mark.parametrize(
    "side, channels, filters", [(8, 3, 4), (32, 3, 32), (2, 64, 96)]
)
def test_bfloat16_stays_bfloat16(side, channels, filters):
    x = jnp.asarray(draw(2, side, side, channels), jnp.bfloat16)
    kernel = draw(3, 3, channels, filters, name="kernel")
    kernel = jnp.asarray(kernel, jnp.bfloat16)
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


def test_the_program_for_a_cpu_has_only_the_fast_convolution():
    # With other axes XLA:CPU falls back to a plain loop within lax.scan: 50 times
    # slower, and no test of numbers would notice.
    program = lowered("cpu")
    axes = "dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
    assert program.count("stablehlo.convolution") == program.count(axes) == 3


def test_the_program_for_a_gpu_is_the_usual_one():
    program = lowered("cuda")
    assert program.count("stablehlo.convolution") == 3
    assert "stablehlo.while" not in program


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 3, 4)])
def test_a_product_and_its_gradients_equal_einsums(shape):
    x, kernel, dy = draw(*shape), draw(4, 6), draw(*shape[:-1], 6)
    y, back = jax.jit(lambda x, kernel: jax.vjp(convolution.product, x, kernel))(
        x, kernel
    )
    expected = (np.einsum("...c,co->...o", x, kernel),)
    expected += (np.einsum("...o,co->...c", dy, kernel),)
    flat = x.reshape(-1, 4), dy.reshape(-1, 6)
    expected += (np.einsum("nc,no->co", *flat),)
    for found, value in zip((y, *back(dy)), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_a_product_has_no_transpose():
    # XLA:CPU would copy the gradient of the largest array for it.
    x, kernel = draw(2, 8, 8, 4), draw(4, 6)
    program = differentiated(convolution.product).lower(x, kernel).as_text()
    assert program.count("stablehlo.dot_general") == 3
    assert "stablehlo.transpose" not in program


def test_members_run_in_turn_on_a_cpu_and_together_on_a_gpu():
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


@pytest.mark.parametrize("size, stride", [(3, 1), (3, 2), (5, 2), (7, 1), (2, 3)])
@pytest.mark.parametrize("height", [8, 9])
def test_depthwise_equals_the_usual_one_with_as_many_groups(size, stride, height):
    x, kernel = draw(2, height, 11, 3), draw(size, size, 3, name="kernel")

    def expected(x, kernel):
        return usual(x, kernel[:, :, None], stride, "VALID", groups=3)

    assert_close(
        with_gradients(lambda x, k: convolution.depthwise(x, k, stride), x, kernel),
        with_gradients(expected, x, kernel),
    )


def test_members_with_a_depthwise_kernel_each():
    x, kernels = draw(2, 2, 6, 6, 3), draw(2, 3, 3, 3, name="kernel")

    def loss(x, kernel):
        return jnp.sum(convolution.depthwise(x, kernel, 2) ** 2)

    together = jax.jit(jax.vmap(jax.grad(loss, argnums=1)))(x, kernels)
    for i in range(2):
        alone = jax.jit(jax.grad(loss, argnums=1))(x[i], kernels[i])
        np.testing.assert_allclose(together[i], alone, rtol=1e-5)


def test_depthwise_in_bfloat16_stays_bfloat16():
    x, kernel = jnp.ones((1, 5, 5, 2), jnp.bfloat16), jnp.ones((3, 3, 2), jnp.bfloat16)

    def both(x, kernel):
        y, pullback = jax.vjp(lambda x, k: convolution.depthwise(x, k, 1), x, kernel)
        return y, pullback(y)

    found = jax.tree.leaves(jax.eval_shape(both, x, kernel))
    assert {leaf.dtype for leaf in found} == {jnp.dtype("bfloat16")}


# Every way in which a layer computes a convolution, and what its plain form must be.
KINDS = {
    "3 x 3": (Conv(6, padding=1), "convolution"),
    "3 x 3, stride 2": (Conv(6, stride=2, padding=1), "convolution"),
    "larger than the map": (Conv(6, size=11, padding=5), "convolution"),
    "1 x 1": (Conv(6, size=1, stride=2), "convolution"),
    "patches": (Conv(6, size=4, stride=4, padding="VALID"), "convolution"),
    "depthwise": (DepthwiseConv(3), "feature_group_count = 5"),
    "depthwise, stride 2": (DepthwiseConv(5, 2, "SAME"), "feature_group_count = 5"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_form_equals_the_cpu_form(kind):
    layer, operation = KINDS[kind]
    x = draw(3, 10, 9, 5)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x)["params"]
    params = {name: draw(*leaf.shape, name=name) for name, leaf in shapes.items()}

    def function(params, x):
        return layer.apply({"params": params}, x)

    def results():
        y, pullback = jax.jit(lambda *a: jax.vjp(function, *a))(params, x)
        return jax.tree.leaves((y, pullback(draw(*y.shape, name="dy"))))

    fast = results()
    with convolution.plain():
        assert_close(results(), fast)
        program = jax.jit(function).lower(params, x).as_text()
    assert operation in program and "case" not in program


def test_a_jitted_function_is_traced_again_for_its_plain_form():
    x, kernel = draw(1, 6, 6, 2), draw(3, 3, 2)
    function = jax.jit(lambda x, kernel: convolution.depthwise(x, kernel, 1))
    fast = function.lower(x, kernel).as_text()
    with convolution.plain():
        plain = function.lower(x, kernel).as_text()
    assert "stablehlo.convolution" in plain
    assert "stablehlo.convolution" not in fast
    assert function.lower(x, kernel).as_text() == fast


def test_a_gpu_gets_the_plain_form_of_a_depthwise_convolution():
    x, kernel = draw(2, 8, 8, 4), draw(3, 3, 4, name="kernel")
    function = differentiated(lambda x, k: convolution.depthwise(x, k, 2))
    traced = function.trace(x, kernel)
    program = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert program.count("stablehlo.convolution") == 3
    # Forward and the images' gradient; that of the kernel has as many batch groups.
    assert len(re.findall(r"\Wfeature_group_count = 4", program)) == 2
    assert program.count("batch_group_count = 4") == 1
    assert "stablehlo.while" not in program
    assert "stablehlo.dynamic_slice" not in program


def test_the_plain_form_has_forward_derivatives():
    x, kernel = draw(1, 6, 6, 2), draw(3, 3, 2, 3)
    with convolution.plain():
        _, tangent = jax.jvp(
            lambda k: convolution.convolve(x, k, 1, 1), (kernel,), (kernel,)
        )
    np.testing.assert_allclose(tangent, usual(x, kernel, 1, 1), rtol=1e-5, atol=1e-5)
