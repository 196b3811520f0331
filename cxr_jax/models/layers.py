"""The layers every model is made of: convolution, batch norm, pooling, the head.

Parameters and running statistics are float32 whatever the compute dtype.
Images and feature maps are [B, H, W, C]; convolution kernels are HWIO.
"""

from functools import partial, reduce
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cxr_jax.models import convolution
from cxr_jax.models.depthwise import depthwise
from tfds_builders.common.errors import InputError

POOLS = ("global", "grid", "zones", "projection")
Pixels = int | tuple[tuple[int, int], tuple[int, int]]


class Output(NamedTuple):
    """What every model returns.

    logits: [B, num_outputs] float32.
    features: {'stage1': [B, h, w, c], ...}, finest first, in the compute dtype.
    """

    logits: jax.Array
    features: dict[str, jax.Array]


def of_style(choices: dict[str, Any], style: str, model: str) -> Any:
    """What `model` does in the style of a framework: 'torch', 'keras'.

    Raises:
      InputError: that framework has no such model.
    """
    if style not in choices:
        raise InputError(
            "config.model.style",
            f"is {style!r}, and of that there is no {model}",
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
            nn.initializers.lecun_normal(),
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
    """k x k convolution; without overlap, as 1 x 1, it is written as a matrix product.

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
            nn.initializers.lecun_normal(),
            (self.size, self.size, x.shape[-1], self.features),
            jnp.float32,
        )
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        if self.size == 1 and self.padding in ("SAME", "VALID", 0):
            x = x[:, :: self.stride, :: self.stride]
            y = lax.dot_general(x, kernel[0, 0], (((3,), (0,)), ((), ())))
        elif self.size == self.stride and self.padding in ("VALID", 0):
            y = jnp.einsum("bhiwjc,ijco->bhwo", tiles(x, self.size), kernel)
        else:
            y = convolution.convolve(x, kernel, self.stride, self.padding)
        if self.use_bias:
            y = y + _bias(self, self.features)
        return y


def _bias(module, features: int):
    bias = module.param("bias", nn.initializers.zeros, (features,), jnp.float32)
    return bias.astype(module.dtype).reshape(1, 1, 1, -1)


def rematerialised(block):
    """`block`(..., name)(x, train) that keeps its input alone for the way back.

    Its inside is computed a second time there. The names of parameters stay.
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
        # As one multiply-add: on the way back two sums over the map are left.
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
    biased one, as in Keras (PyTorch stores the unbiased one). statistics: moments(x),
    where they are known already.
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

    With erf, as in PyTorch and Keras; by default jax.nn.gelu takes tanh in its place.
    """
    return jax.nn.gelu(x, approximate=False)


class SqueezeExcite(nn.Module):
    """Channels weighted by what the whole map holds (Hu et al. 2018, arXiv 1709.01507).

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


def max_pool(x, *, size: int, stride: int, padding: int = 0):
    """Max pooling. Padding is with zeros: exact for x >= 0 (after a relu) only.

    Of equal values in a window the first gets the gradient. Written out in slices:
    XLA:CPU is 5 times slower with a reduce_window, and 20 times with its gradient.
    """
    if padding:
        x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return _max_pool(x, size, stride)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _max_pool(x, size, stride):
    return reduce(jnp.maximum, convolution.windows(x, size, stride).values())


def _max_pool_forward(x, size, stride):
    y = _max_pool(x, size, stride)
    return y, (x, y)


def _max_pool_backward(size, stride, kept, dy):
    x, y = kept
    taps, taken = {}, jnp.zeros(y.shape, bool)
    for ij, tap in convolution.windows(x, size, stride).items():
        taps[ij] = jnp.where((tap == y) & ~taken, dy, jnp.zeros_like(dy))
        taken |= tap == y
    return (convolution.spread(taps, stride, x.shape),)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def avg_pool(x, *, size: int):
    """Average over size x size tiles; rows and columns left over are dropped."""
    return tiles(x, size).mean(axis=(2, 4))


def tiles(x, size: int):
    """[B, h, size, w, size, C]: rows and columns left over are dropped."""
    batch, height, width, channels = x.shape
    rows, columns = height // size, width // size
    x = x[:, : rows * size, : columns * size]
    return x.reshape(batch, rows, size, columns, size, channels)


def area_weights(length: int, bins: int) -> np.ndarray:
    """[bins, length] weights that average `length` pixels in `bins` equal parts.

    A pixel cut by a border counts with the part of it that lies inside, so the bins
    are equal in area for any length, also one below the number of bins.
    """
    edges = np.arange(bins + 1) * (length / bins)
    pixels = np.arange(length)
    left = np.maximum(edges[:-1, None], pixels)
    right = np.minimum(edges[1:, None], pixels + 1)
    return np.clip(right - left, 0, None) * (bins / length)


def grid_pool(x, *, rows: int = 3, columns: int = 2):
    """Average over a grid of equal parts: [B, H, W, C] -> [B, rows * columns, C].

    Parts run down the first column, then down the next: with 3 x 2 that is the zone
    order A, B, C, D, E, F. Computed in float32.
    """
    down = jnp.asarray(area_weights(x.shape[1], rows), jnp.float32)
    across = jnp.asarray(area_weights(x.shape[2], columns), jnp.float32)
    x = x.astype(jnp.float32)
    # HIGHEST: accelerators else round the factors of a product to fewer bits.
    x = jnp.einsum("rh,bhwc->brwc", down, x, precision=lax.Precision.HIGHEST)
    x = jnp.einsum("sw,brwc->bsrc", across, x, precision=lax.Precision.HIGHEST)
    return x.reshape(x.shape[0], rows * columns, x.shape[-1])


def pooled_map(x, pool: str):
    """The map of what `head` pools, float32: [B, 1, 1, C] or [B, 3, 2, C].

    For models with layers between pooling and head; `head` leaves it as it is.
    """
    if pool in ("global", "projection"):
        return x.astype(jnp.float32).mean(axis=(1, 2), keepdims=True)
    parts = grid_pool(x)
    return parts.reshape(x.shape[0], 2, 3, x.shape[-1]).swapaxes(1, 2)


def head(x, num_outputs: int, *, pool: str, rate: float, train: bool, name: str):
    """Pool a feature map, drop out, and one dense layer: [B, num_outputs] float32.

    pool: 'global' averages the whole map; 'grid' averages each of 3 x 2 parts and
      flattens them, so that the head knows in which zone something was seen; 'zones'
      averages the same parts, and one dense layer serves them all: see `zones`;
      'projection' is 'global' with a hidden layer as wide as the map before the dense
      one, for the task contrast (Chen et al. 2020, arXiv 2002.05709).
    """
    if pool == "zones":
        from cxr_jax.models import heads  # which imports this module

        return heads.zones_head(x, num_outputs, rate=rate, train=train, name=name)
    if pool in ("global", "projection"):
        x = x.astype(jnp.float32).mean(axis=(1, 2))
    elif pool == "grid":
        x = grid_pool(x)
        x = x.reshape(x.shape[0], -1)
    else:
        raise ValueError(f"pool is {pool!r}; it must be one of {', '.join(POOLS)}")
    x = dropout(x, rate, train=train, name="dropout")
    if pool == "projection":
        x = nn.relu(nn.Dense(x.shape[-1], dtype=jnp.float32, name="projection")(x))
    return nn.Dense(num_outputs, dtype=jnp.float32, name=name)(x)
