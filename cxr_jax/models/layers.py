"""The layers that models are made of: convolutions, norms, dropout.

Parameters and running statistics are float32 whatever the compute dtype.
Images and feature maps are [B, H, W, C]; convolution kernels are HWIO.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from cxr_jax.models.convolution import convolve, depthwise, is_plain, product
from cxr_jax.models.pooling import tiles
from tfds_builders.common.errors import InputError

Pixels = int | tuple[tuple[int, int], tuple[int, int]]


def undrawn(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32) -> jax.Array:
    """Of every kernel: a module says name and shape alone, and `models.initialise` draws.

    Flax traces this again at each use, and one that draws takes ten times as long. It
    is NaN, so that `module.init`, which draws nothing, is not mistaken for a start.
    """
    return jnp.full(shape, jnp.nan, dtype)


class Output(NamedTuple):
    """What every model returns.

    logits: [B, num_outputs] float32.
    features: {'stage1': [B, h, w, c], ...}, finest first, in the compute dtype.
    """

    logits: jax.Array
    features: dict[str, jax.Array]


def of_style(choices: dict[str, Any], style: str, model: str) -> Any:
    """The choice of `model` in the style of a framework: 'torch', 'keras'.

    Raises:
      InputError: that framework has no such model.
    """
    if style not in choices:
        raise InputError(
            "config.model.style",
            f"is {style!r}, in which {model} does not exist",
            f"set --config.model.style={' or '.join(choices)}",
        )
    return choices[style]


class DepthwiseConv(nn.Module):
    """k x k convolution of every channel by itself.

    padding: 'SAME', the number of pixels on every side, or ((top, bottom), (left,
      right)).
    """

    size: int = 3
    stride: int = 1
    padding: str | Pixels = 1
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param(
            "kernel",
            undrawn,
            (self.size, self.size, 1, x.shape[-1]),
            jnp.float32,
        )
        sides = self.padding
        if isinstance(sides, int):
            sides = ((sides, sides), (sides, sides))
        elif isinstance(sides, str):
            steps = (self.stride, self.stride)
            sides = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], steps, sides)
        x = jnp.pad(x.astype(self.dtype), ((0, 0), *sides, (0, 0)))
        y = depthwise(x, kernel[:, :, 0].astype(self.dtype), self.stride)
        if self.use_bias:
            y = y + _bias(self, x.shape[-1])
        return y


class Conv(nn.Module):
    """k x k convolution; where windows do not overlap, as 1 x 1, a matrix product.

    XLA:CPU computes the weight gradient of a 1 x 1 convolution some 15 times slower
    than that of the same matrix product; elsewhere the two forms are equivalent.

    padding: 'SAME', 'VALID', or the number of pixels on every side. 'SAME' with a
      stride pads more after than before, unlike PyTorch: use a number there.
    """

    features: int
    size: int = 3
    stride: int = 1
    padding: str | int = "SAME"
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param(
            "kernel",
            undrawn,
            (self.size, self.size, x.shape[-1], self.features),
            jnp.float32,
        )
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        if is_plain():
            y = convolve(x, kernel, self.stride, self.padding)
        elif self.size == 1 and self.padding in ("SAME", "VALID", 0):
            x = x[:, :: self.stride, :: self.stride]
            y = product(x, kernel[0, 0])
        elif self.size == self.stride and self.padding in ("VALID", 0):
            y = jnp.einsum("bhiwjc,ijco->bhwo", tiles(x, self.size), kernel)
        else:
            y = convolve(x, kernel, self.stride, self.padding)
        if self.use_bias:
            y = y + _bias(self, self.features)
        return y


class Dense(nn.Dense):
    """linen's, with its names; see `undrawn`."""

    kernel_init: Any = undrawn


def _bias(module, features: int):
    bias = module.param("bias", nn.initializers.zeros, (features,), jnp.float32)
    return bias.astype(module.dtype).reshape(1, 1, 1, -1)


def rematerialised(block):
    """`block`(..., name)(x, train) that keeps only its input for the backward pass.

    The rest is computed again there. The names of parameters stay.
    """
    return nn.remat(block, static_argnums=(2,))


class BatchNorm(nn.Module):
    """Batch norm over all axes but the last; float32 statistics, linen's names."""

    momentum: float
    epsilon: float
    dtype: Any

    @nn.compact
    def __call__(self, x, train: bool, statistics=None):
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        kept = (
            self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32),
            self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32),
        )
        if train:
            mean, var = moments(x) if statistics is None else statistics
            if not self.is_initializing():
                for old, new in zip(kept, (mean, var), strict=True):
                    share = self.momentum
                    old.value = share * old.value + (1 - share) * new
        else:
            mean, var = (old.value for old in kept)
        # As one multiply-add: the backward pass is left with two sums over the map.
        factor = scale * lax.rsqrt(var + self.epsilon)
        factor, shift = (
            row.reshape((1,) * (x.ndim - 1) + shape)
            for row in (factor, bias - mean * factor)
        )
        return (x.astype(jnp.float32) * factor + shift).astype(self.dtype)


def moments(x):
    """Mean and biased variance of every channel, float32 [C]."""
    x = x.astype(jnp.float32)
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes)
    return mean, jnp.maximum((x * x).mean(axes) - mean * mean, 0.0)


def batch_norm(
    x, *, train: bool, name: str, dtype, momentum=0.9, epsilon=1e-5, statistics=None
):
    """Batch norm over all axes but the last; float32 statistics.

    Called inside a compact module. momentum is the share that the old running value
    keeps: 0.9 is PyTorch's 0.1, Keras's default is 0.99. The running variance is the
    biased one, as in Keras; `config.optim.torch_norms` keeps PyTorch's, the unbiased
    one. statistics: moments(x), where they are already known.
    """
    return BatchNorm(momentum, epsilon, dtype, name=name)(x, train, statistics)


def dropout(x, rate: float, *, train: bool, name: str):
    """Dropout from the 'dropout' stream; none at all, and no key needed, at rate 0."""
    if rate == 0.0:
        return x
    return nn.Dropout(rate=rate, deterministic=not train, name=name)(x)


def drop_path(x, rate: float, *, train: bool, name: str):
    """Stochastic depth (Huang et al. 2016, arXiv 1603.09382) on a residual branch.

    Each example's branch is dropped with probability `rate`, from the 'dropout'
    stream; what is kept is divided by 1 - rate. No key is needed at rate 0.
    """
    if rate == 0.0:
        return x
    axes = tuple(range(1, x.ndim))
    return nn.Dropout(
        rate=rate, broadcast_dims=axes, deterministic=not train, name=name
    )(x)


def layer_norm(x, *, name: str, dtype, epsilon=1e-6):
    """Layer norm over the last axis; float32 statistics in two passes."""
    norm = nn.LayerNorm(epsilon, dtype=dtype, use_fast_variance=False, name=name)
    return norm(x)


def gelu(x):
    """x times the normal distribution's cumulative (Hendrycks 2016, arXiv 1606.08415).

    With erf, as in PyTorch and Keras; the default of jax.nn.gelu is the tanh approximation.
    """
    return jax.nn.gelu(x, approximate=False)


class SqueezeExcite(nn.Module):
    """Channels reweighted by the average of the map (Hu et al. 2018, arXiv 1709.01507).

    width: channels between 'fc1' (then silu) and 'fc2' (then a sigmoid).
    """

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, x):
        y = x.astype(jnp.float32).mean(axis=(1, 2), keepdims=True)
        y = Conv(self.width, size=1, dtype=self.dtype, name="fc1")(y)
        y = Conv(x.shape[-1], size=1, dtype=self.dtype, name="fc2")(nn.silu(y))
        return x * nn.sigmoid(y)
