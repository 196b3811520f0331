import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cxr_jax.models.depthwise import depthwise
from cxr_jax.rng import generator


def draw(*shape, name="x"):
    return generator(0, name).normal(size=shape).astype(np.float32)


def grouped(x, kernel, stride):
    """XLA's own."""
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


@pytest.mark.parametrize("size, stride", [(3, 1), (3, 2), (5, 2), (7, 1), (2, 3)])
@pytest.mark.parametrize("height", [8, 9])
def test_the_sum_and_its_gradients_are_xlas(size, stride, height):
    x, kernel = draw(2, height, 11, 3), draw(size, size, 3, name="kernel")
    y, pullback = jax.vjp(lambda x, kernel: grouped(x, kernel, stride), x, kernel)
    dy = draw(*y.shape, name="dy")

    @jax.jit
    def both(x, kernel, dy):
        y, pullback = jax.vjp(lambda x, kernel: depthwise(x, kernel, stride), x, kernel)
        return y, pullback(dy)

    for mine, other in zip(
        jax.tree.leaves(both(x, kernel, dy)),
        jax.tree.leaves((y, pullback(dy))),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_members_with_a_kernel_each():
    x, kernels = draw(2, 2, 6, 6, 3), draw(2, 3, 3, 3, name="kernel")

    def loss(x, kernel):
        return jnp.sum(depthwise(x, kernel, 2) ** 2)

    together = jax.jit(jax.vmap(jax.grad(loss, argnums=1)))(x, kernels)
    for i in range(2):
        alone = jax.jit(jax.grad(loss, argnums=1))(x[i], kernels[i])
        np.testing.assert_allclose(together[i], alone, rtol=1e-5)


def test_the_type_of_the_picture_stays():
    x, kernel = jnp.ones((1, 5, 5, 2), jnp.bfloat16), jnp.ones((3, 3, 2), jnp.bfloat16)

    def both(x, kernel):
        y, pullback = jax.vjp(lambda x, kernel: depthwise(x, kernel, 1), x, kernel)
        return y, pullback(y)

    found = jax.tree.leaves(jax.eval_shape(both, x, kernel))
    assert {leaf.dtype for leaf in found} == {jnp.dtype("bfloat16")}
