import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_jax.models import convolution, heads, pooling
from cxr_jax.rng import generator
from tfds_builders.common.errors import InputError


def draw(*shape, name="x"):
    return generator(0, name).normal(size=shape).astype(np.float32)


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
        return pooling.max_pool(x, size=size, stride=stride, padding=padding)

    def both(function):
        y, pullback = jax.vjp(function, x)
        return y, *pullback(draw(*y.shape, name="dy"))

    expected = both(theirs)
    with convolution.plain():
        plain = both(ours)
    for found in (both(ours), plain):
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-6)


def test_max_pool_with_padding_equals_a_loop():
    x = np.abs(draw(1, 7, 6, 2))
    expected = np.zeros((1, 4, 3, 2), np.float32)
    for i in range(4):
        for j in range(3):
            rows = slice(max(2 * i - 1, 0), 2 * i + 2)
            columns = slice(max(2 * j - 1, 0), 2 * j + 2)
            expected[:, i, j] = x[:, rows, columns].max(axis=(1, 2))
    result = pooling.max_pool(x, size=3, stride=2, padding=1)
    np.testing.assert_array_equal(result, expected)


def test_avg_pool_drops_the_remainder():
    x = draw(1, 5, 4, 2)
    expected = x[:, :4].reshape(1, 2, 2, 2, 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(pooling.avg_pool(x, size=2), expected, rtol=1e-5)


@pytest.mark.parametrize("pool", [pooling.max_pool, pooling.avg_pool])
def test_a_plain_pool_has_a_gradient_within_jit(pool):
    x = draw(2, 6, 4, 3)
    settings = {"size": 2} | ({"stride": 2} if pool is pooling.max_pool else {})

    def gradient():
        return jax.jit(jax.grad(lambda x: (pool(x, **settings) ** 2).sum()))(x)

    expected = gradient()
    with convolution.plain():
        found = gradient()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 40), bins=st.integers(1, 7))
def test_area_weights_are_the_mean_of_equal_parts(length, bins):
    # Each pixel cut into `bins` slices: the parts are then whole numbers of slices.
    x = generator(0, "x").normal(size=length)
    expected = np.repeat(x, bins).reshape(bins, length).mean(axis=1)
    weights = pooling.area_weights(length, bins)
    np.testing.assert_allclose(weights @ x, expected, atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_grid_pool_runs_in_zone_order():
    zones = np.array([[0, 3], [1, 4], [2, 5]], np.float32)  # A B C | D E F
    x = np.kron(zones, np.ones((4, 5)))[None, :, :, None]
    np.testing.assert_allclose(pooling.grid_pool(x)[0, :, 0], np.arange(6), rtol=1e-6)


@pytest.mark.parametrize("pool", ["global", "grid"])
def test_pooling_a_pooled_map_changes_nothing(pool):
    class Head(nn.Module):
        first: bool

        @nn.compact
        def __call__(self, x):
            if self.first:
                x = pooling.pooled_map(x, pool)
            return heads.head(x, 2, pool=pool, rate=0.0, train=False, name="fc")

    x = draw(2, 7, 9, 3)
    variables = Head(False).init(jax.random.key(0), x)
    np.testing.assert_allclose(
        Head(True).apply(variables, x), Head(False).apply(variables, x), atol=1e-5
    )


def test_tiles_are_averaged_flattened_and_pass_a_hidden_layer():
    """Against the same in NumPy, after average-pool 2, flatten, dense 64, dense 2."""

    class Head(nn.Module):
        @nn.compact
        def __call__(self, x):
            return heads.head(x, 2, pool="tiles", rate=0.5, train=False, name="fc")

    x = draw(2, 8, 6, 3)
    variables = Head().init(jax.random.key(0), x)
    dense = jax.tree.map(np.asarray, variables["params"])
    assert dense["projection"]["kernel"].shape == (4 * 3 * 3, 64)
    means = [
        x[:, i : i + 2, j : j + 2].mean(axis=(1, 2))
        for i in range(0, 8, 2)
        for j in range(0, 6, 2)
    ]
    flat = np.concatenate(means, axis=1)
    hidden = np.maximum(flat @ dense["projection"]["kernel"], 0)
    found = Head().apply(variables, x)
    np.testing.assert_allclose(found, hidden @ dense["fc"]["kernel"], atol=1e-5)


def test_tiles_of_a_pooled_map_are_refused():
    with pytest.raises(InputError, match="'tiles'.*between pooling and head"):
        pooling.pooled_map(draw(2, 8, 8, 3), "tiles")
