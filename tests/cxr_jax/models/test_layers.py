import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from cxr_jax.models import layers
from cxr_jax.rng import generator


def draw(*shape, name="x"):
    return generator(0, name).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "size, stride", [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2), (4, 4)]
)
@pytest.mark.parametrize("padding", ["SAME", "VALID", "number"])
def test_conv_equals_linens(size, stride, padding):
    padding = size // 2 if padding == "number" else padding
    x = draw(2, 9, 8, 5)
    weights = {"kernel": draw(size, size, 5, 4, name="k"), "bias": draw(4, name="b")}
    ours = layers.Conv(4, size=size, stride=stride, padding=padding)
    theirs = nn.Conv(4, (size, size), (stride, stride), padding=padding)
    np.testing.assert_allclose(
        ours.apply({"params": weights}, x),
        theirs.apply({"params": weights}, x),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("size, stride", [(1, 2), (3, 2)])
def test_conv_gradient_equals_linens(size, stride):
    x, target = draw(2, 6, 6, 3), draw(2, 3, 3, 4, name="target")
    weights = {"kernel": draw(size, size, 3, 4, name="k")}
    ours = layers.Conv(4, size=size, stride=stride, padding=size // 2, use_bias=False)
    theirs = nn.Conv(
        4, (size, size), (stride, stride), padding=size // 2, use_bias=False
    )

    def loss(weights, module):
        return jnp.sum(module.apply({"params": weights}, x) * target)

    np.testing.assert_allclose(
        jax.grad(loss)(weights, ours)["kernel"],
        jax.grad(loss)(weights, theirs)["kernel"],
        rtol=1e-4,
        atol=1e-4,
    )


def test_conv_of_one_pixel_is_a_matrix_product_in_the_program():
    module = layers.Conv(4, size=1)
    variables = {"params": {"kernel": draw(1, 1, 5, 4), "bias": draw(4)}}
    program = str(jax.make_jaxpr(module.apply)(variables, draw(2, 8, 8, 5)))
    assert "dot_general" in program
    assert "conv_general_dilated" not in program


@pytest.mark.parametrize("padding", [2, "SAME", "VALID", ((0, 1), (2, 0))])
@pytest.mark.parametrize("stride, height", [(1, 8), (2, 8), (2, 9)])
def test_depthwise_conv_equals_linens(padding, stride, height):
    x = draw(2, height, 7, 4)
    weights = {"kernel": draw(5, 5, 1, 4, name="k"), "bias": draw(4, name="b")}
    ours = layers.DepthwiseConv(5, stride, padding)
    theirs = nn.Conv(
        4, (5, 5), (stride, stride), padding=padding, feature_group_count=4
    )
    np.testing.assert_allclose(
        jax.jit(ours.apply)({"params": weights}, x),
        jax.jit(theirs.apply)({"params": weights}, x),
        rtol=1e-5,
        atol=1e-5,
    )


def test_conv_without_overlap_is_a_matrix_product_in_the_program():
    module = layers.Conv(4, size=2, stride=2, padding="VALID")
    variables = {"params": {"kernel": draw(2, 2, 5, 4), "bias": draw(4)}}
    program = str(jax.make_jaxpr(module.apply)(variables, draw(2, 7, 8, 5)))
    assert "dot_general" in program
    assert "conv_general_dilated" not in program


def test_squeeze_excite_written_out():
    x = draw(2, 3, 5, 4)
    down, up = draw(4, 2, name="down"), draw(2, 4, name="up")
    biases = draw(2, name="b1"), draw(4, name="b2")
    mean = x.astype(np.float64).mean(axis=(1, 2))
    inner = mean @ down + biases[0]
    inner = inner / (1 + np.exp(-inner))  # silu
    weights = 1 / (1 + np.exp(-(inner @ up + biases[1])))
    params = {
        "fc1": {"kernel": down[None, None], "bias": biases[0]},
        "fc2": {"kernel": up[None, None], "bias": biases[1]},
    }
    result = layers.SqueezeExcite(2, jnp.float32).apply({"params": params}, x)
    np.testing.assert_allclose(result, x * weights[:, None, None], rtol=1e-5)


def test_layer_norm_and_gelu_written_out():
    class Norm(nn.Module):
        @nn.compact
        def __call__(self, x):
            return layers.gelu(layers.layer_norm(x, name="norm", dtype=jnp.float32))

    x = 1000 + draw(3, 2, 8).astype(np.float64)  # where E[x^2] - E[x]^2 loses digits
    params = {"norm": {"scale": draw(8, name="s"), "bias": draw(8, name="b")}}
    result = Norm().apply({"params": params}, x.astype(np.float32))
    y = x.astype(np.float32).astype(np.float64)
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-6)
    y = y * params["norm"]["scale"] + params["norm"]["bias"]
    np.testing.assert_allclose(result, y * scipy.stats.norm.cdf(y), atol=1e-3)


@pytest.mark.parametrize("shape", [(2000, 2, 3, 4), (2000, 5, 2)])
def test_drop_path_drops_whole_examples_and_keeps_the_mean(shape):
    class Branch(nn.Module):
        rate: float
        train: bool

        @nn.compact
        def __call__(self, x):
            return layers.drop_path(x, self.rate, train=self.train, name="drop_path")

    x = np.ones(shape, np.float32)
    kept = Branch(0.25, True).apply({}, x, rngs={"dropout": jax.random.key(0)})
    kept = np.asarray(kept).reshape(len(x), -1)
    assert (kept == kept[:, :1]).all()
    assert set(np.unique(kept)) == {0, np.float32(1 / 0.75)}
    # The share of 2000 that is kept: five standard errors.
    share = (kept[:, 0] > 0).mean()
    assert abs(share - 0.75) < 5 * np.sqrt(0.75 * 0.25 / len(x))
    for branch in (Branch(0.25, False), Branch(0.0, True)):
        np.testing.assert_array_equal(branch.apply({}, x), x)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (8, 3)])
def test_batch_norm_and_its_gradients_equal_linens(train, shape):
    class Ours(nn.Module):
        @nn.compact
        def __call__(self, x):
            return layers.batch_norm(x, train=train, name="bn", dtype=jnp.float32)

    class Theirs(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5, name="bn")(x)

    x, dy = 2 + 3 * draw(*shape), draw(*shape, name="dy")
    channels = shape[-1:]
    params = {"scale": draw(*channels, name="s"), "bias": draw(*channels, name="b")}
    stats = {"mean": draw(*channels), "var": 1 + draw(*channels) ** 2}

    def results(module):
        def apply(params, x):
            variables = {"params": {"bn": params}, "batch_stats": {"bn": stats}}
            return module.apply(variables, x, mutable=["batch_stats"])

        y, pullback, updated = jax.vjp(apply, params, x, has_aux=True)
        return y, pullback(dy), updated

    ours, theirs = results(Ours()), results(Theirs())
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_batch_norm_momentum_is_the_share_that_stays():
    class Norm(nn.Module):
        @nn.compact
        def __call__(self, x):
            return layers.batch_norm(
                x, train=True, name="bn", dtype=jnp.bfloat16, momentum=0.75
            )

    x = 2 + 3 * draw(64, 3, 3, 2)
    variables = Norm().init(jax.random.key(0), x)
    y, updated = Norm().apply(variables, x, mutable=["batch_stats"])
    stats = updated["batch_stats"]["bn"]
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    np.testing.assert_allclose(stats["mean"], 0.25 * mean, rtol=1e-4)
    np.testing.assert_allclose(stats["var"], 0.75 + 0.25 * var, rtol=1e-4)
    assert y.dtype == jnp.bfloat16
    assert stats["mean"].dtype == stats["var"].dtype == jnp.float32
