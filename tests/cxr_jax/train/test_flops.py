import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

from cxr_jax.models import MODELS, init
from cxr_jax.train.flops import flops

SIZES = st.integers(1, 6)


def array(*shape):
    return jax.ShapeDtypeStruct(shape, np.float32)


@given(SIZES, SIZES, SIZES, SIZES, SIZES)
def test_matrix_products(batch, rows, columns, one, other):
    left, right = array(batch, one, rows, other), array(other, batch, columns, one)
    product = partial(jnp.einsum, "abcd,dbea->ace")
    shapes = array(one, batch, rows, other), array(other, batch, columns, one)
    # Summed over b and d, along a as a batch: for each of a, c, e.
    assert flops(product, *shapes) == 2 * one * rows * columns * batch * other
    kept = partial(jnp.einsum, "bacd,dbea->bacde")
    expected = 2 * batch * one * rows * columns * other
    assert flops(kept, left, right) == expected


@pytest.mark.parametrize("shape", [(), (7,), (3, 7)])
def test_products_with_vectors(shape):
    assert flops(jnp.dot, array(*shape, 5), array(5)) == 2 * math.prod(shape) * 5


def test_operations_other_than_products_are_not_counted():
    assert flops(lambda x: jnp.tanh(x * x + 1).sum(), array(8, 8)) == 0


def convolution(x, kernel, **settings):
    settings = {"window_strides": (1,) * (x.ndim - 2), "padding": "VALID"} | settings
    numbers = {3: ("NWC", "WIO", "NWC"), 4: ("NHWC", "HWIO", "NHWC")}[x.ndim]
    return lax.conv_general_dilated(x, kernel, dimension_numbers=numbers, **settings)


def test_convolution_by_hand():
    # 2 pictures, 8 x 6 places, 3 x 5 x 4 multiply-adds for each of 7 features.
    x, kernel = array(2, 10, 10, 4), array(3, 5, 4, 7)
    assert flops(convolution, x, kernel) == 2 * 2 * (8 * 6) * (3 * 5 * 4) * 7


def test_padding_counts_as_in_published_tables():
    x, kernel = array(1, 10, 10, 4), array(3, 3, 4, 7)
    same = partial(convolution, padding="SAME")
    assert flops(same, x, kernel) == 2 * (10 * 10) * (3 * 3 * 4) * 7


def test_strides_skip_positions():
    x, kernel = array(1, 11, 11, 4), array(3, 3, 4, 7)
    strided = partial(convolution, window_strides=(2, 4))
    assert flops(strided, x, kernel) == 2 * (5 * 3) * (3 * 3 * 4) * 7


def test_a_dilated_kernel_has_no_more_elements():
    x, kernel = array(1, 11, 11, 4), array(3, 3, 4, 7)
    dilated = partial(convolution, rhs_dilation=(2, 2))
    assert flops(dilated, x, kernel) == 2 * (7 * 7) * (3 * 3 * 4) * 7


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_feature_groups(groups):
    x, kernel = array(2, 9, 9, 8), array(3, 3, 8 // groups, 16)
    grouped = partial(convolution, feature_group_count=groups)
    assert flops(grouped, x, kernel) == 2 * 2 * (7 * 7) * (3 * 3 * 8 // groups) * 16


@pytest.mark.parametrize("groups", [2, 4])
def test_batch_groups(groups):
    # Group g of the pictures meets group g of the 16 features.
    x, kernel = array(8, 9, 9, 3), array(3, 3, 3, 16)
    grouped = partial(convolution, batch_group_count=groups)
    pictures = 8 // groups
    assert flops(grouped, x, kernel) == 2 * pictures * (7 * 7) * (3 * 3 * 3) * 16


@given(
    n=st.integers(1, 9),
    k=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    spread=st.integers(1, 2),
    low=st.integers(0, 6),
    high=st.integers(0, 6),
)
def test_only_overlapping_elements_are_counted(
    n, k, stride, dilation, spread, low, high
):
    """Along one axis, against every multiplication with an element that is there."""
    length, reach = (n - 1) * dilation + 1, (k - 1) * spread + 1
    places = (length + low + high - reach) // stride + 1
    if length + low + high < reach:
        return
    at = stride * np.arange(places)[:, None] + spread * np.arange(k) - low
    met = ((at >= 0) & (at < length) & (at % dilation == 0)).sum()
    counted = flops(
        partial(
            convolution,
            window_strides=(stride,),
            padding=[(low, high)],
            lhs_dilation=(dilation,),
            rhs_dilation=(spread,),
        ),
        array(1, n, 1),
        array(k, 1, 1),
    )
    assert met <= counted / 2 <= places * k
    if low == high == 0 and dilation == 1:
        assert counted == 2 * met
    if low >= reach - 1 and high >= reach - 1 and stride == 1:
        assert counted == 2 * met == 2 * n * k


@pytest.mark.parametrize("padding", ["SAME", "VALID", [(3, 1), (0, 2)]])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("groups", [1, 4])
def test_each_gradient_costs_as_much_as_the_convolution(padding, strides, groups):
    x, kernel = array(2, 12, 12, 4), array(3, 3, 4 // groups, 8)
    function = partial(
        convolution,
        padding=padding,
        window_strides=strides,
        feature_group_count=groups,
    )

    def back(x, kernel):
        return jax.grad(lambda *both: function(*both).sum(), (0, 1))(x, kernel)

    # The sum itself is not asked for, so neither is the convolution.
    assert flops(back, x, kernel) == 2 * flops(function, x, kernel)


def test_unused_operations_are_not_counted():
    def unused(x):
        product(x)
        return jax.jit(lambda y: (product(y), product(product(y))))(x)[0]

    assert flops(unused, X) == ONE
    assert flops(jax.jit(unused), X) == ONE


def product(x):
    return x @ x


ONE = 2 * 4**3  # of a product of two 4 x 4 matrices
X = array(4, 4)


def test_calls_are_counted_inside():
    assert flops(jax.jit(product), X) == ONE
    assert flops(jax.jit(lambda x: jax.jit(product)(x) + product(x)), X) == 2 * ONE
    assert flops(jax.vmap(product), array(5, 4, 4)) == 5 * ONE


def test_custom_derivatives():
    own = jax.custom_jvp(product)
    own.defjvp(lambda values, tangents: (product(*values), tangents[0] @ values[0]))
    assert flops(own, X) == ONE
    reverse = jax.custom_vjp(product)
    reverse.defvjp(lambda x: (product(x), x), lambda x, g: (g @ x @ x,))
    assert flops(reverse, X) == ONE
    assert flops(jax.value_and_grad(lambda x: reverse(x).sum()), X) == 3 * ONE


def test_rematerialisation_is_counted():
    def twice(x):
        return jnp.sin(product(jnp.sin(product(x)))).sum()

    # Two forward; two for each of those backward; and the forward ones again.
    assert flops(jax.value_and_grad(twice), X) == (2 + 4) * ONE
    kept_less = jax.value_and_grad(jax.checkpoint(twice))
    assert flops(kept_less, X) == (2 + 4 + 2) * ONE


def test_loops_of_known_length():
    def scanned(x):
        return lax.scan(lambda carry, _: (product(carry), None), x, length=7)[0]

    assert flops(scanned, X) == 7 * ONE
    assert flops(lambda x: lax.fori_loop(0, 9, lambda _, y: product(y), x), X) == (
        9 * ONE
    )


def test_loops_of_unknown_length_with_products_are_refused():
    def until(x, change):
        return lax.while_loop(lambda y: y.sum() < 3, change, x)

    with pytest.raises(ValueError, match="within a while"):
        flops(partial(until, change=product), X)
    assert flops(lambda x: product(until(x, jnp.sin)), X) == ONE


def test_the_largest_branch_counts():
    def chosen(which, x):
        three = lambda y: product(product(product(y)))
        return lax.switch(which, [product, three, jnp.sin], x)

    assert flops(chosen, jax.ShapeDtypeStruct((), np.int32), X) == 3 * ONE


def test_the_textbook_form_is_counted_not_a_cheaper_one_of_a_platform():
    def cheap(x, kernel):
        return jnp.einsum("bhwc,cd->bhwd", x[:, 1:-1, 1:-1], kernel[0, 0])

    @jax.custom_vjp
    def layer(x, kernel):
        return lax.platform_dependent(x, kernel, cpu=cheap, default=convolution)

    def backward(kept, gradient):
        return jax.vjp(convolution, *kept)[1](gradient)

    layer.defvjp(lambda *both: (layer(*both), both), backward)
    x, kernel = array(2, 10, 10, 4), array(3, 3, 4, 8)
    textbook = 2 * 2 * (8 * 8) * (3 * 3 * 4) * 8
    assert flops(layer, x, kernel) == textbook
    assert flops(jax.jit(layer), x, kernel) == textbook
    grads = jax.value_and_grad(lambda *both: layer(*both).sum(), (0, 1))
    # Forward and two gradients; not the forward one that jax.vjp makes and nobody uses.
    assert flops(grads, x, kernel) == 3 * textbook


# The column GFLOPS of https://docs.pytorch.org/vision/stable/models.html, which counts
# multiply-adds, for 3 x 224 x 224 and 1000 classes.
PUBLISHED = {"resnet18": 1.81, "resnet34": 3.66, "resnet50": 4.09, "densenet121": 2.83}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name):
    model = MODELS[name](1000)
    variables = init.abstract_variables(model, (224, 224, 3))
    found = flops(model.apply, variables, array(1, 224, 224, 3))
    assert found / 2e9 == pytest.approx(PUBLISHED[name], rel=0.01)


def test_a_training_step_costs_three_forward_passes_less_one_gradient():
    model = MODELS["resnet18"](1000)
    variables = init.abstract_variables(model, (224, 224, 3))
    images = array(2, 224, 224, 3)

    def loss(params, rest, images):
        output, _ = model.apply(
            {"params": params, **rest}, images, train=True, mutable=["batch_stats"]
        )
        return output.logits.sum()

    rest = {"batch_stats": variables["batch_stats"]}
    forward = flops(model.apply, variables, images)
    first = 2 * 2 * (112 * 112) * (7 * 7 * 3) * 64  # of the pictures none is needed
    found = flops(jax.value_and_grad(loss), variables["params"], rest, images)
    assert found == 3 * forward - first
