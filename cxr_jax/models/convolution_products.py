"""A convolution as matrix products, one for each place of its kernel, for the CPU.

Every product takes the pixels that one place of the kernel meets: all images at once, so
the kernel is read once, where a convolution of XLA:CPU reads it for each image again.

Images are [B, H, W, C], kernels [k, k, C, O]. Sums over products are in float32 at least.
"""

from functools import reduce

import jax.numpy as jnp
from jax import lax

from cxr_jax.models.windows import spread, windows

Padding = tuple[tuple[int, int], tuple[int, int]]


def convolve(x, kernel, stride: int, padding: Padding):
    """[B, h, w, O], of the type of x."""
    taps = windows(_padded(x, padding), len(kernel), stride)
    products = (_product(tap, kernel[ij], (3, 0)) for ij, tap in taps.items())
    return reduce(jnp.add, products).astype(x.dtype)


def input_gradient(kernel, dy, stride: int, padding: Padding, shape):
    """[B, H, W, C] = `shape`: every product added where its pixels came from."""
    batch, height, width, channels = shape
    (top, bottom), (left, right) = padding
    size = range(len(kernel))
    taps = {(i, j): _product(dy, kernel[i, j], (3, 1)) for i in size for j in size}
    padded = (batch, height + top + bottom, width + left + right, channels)
    whole = spread(taps, stride, padded)
    return whole[:, top : top + height, left : left + width]


def kernel_gradient(x, dy, stride: int, padding: Padding, shape):
    """[k, k, C, O] = `shape`."""
    # As matrices: with several axes to sum over, XLA:CPU copies x once more.
    dy = dy.reshape(-1, dy.shape[-1])
    taps = windows(_padded(x, padding), shape[0], stride)
    products = [
        _product(tap.reshape(-1, tap.shape[-1]), dy, (0, 0)) for tap in taps.values()
    ]
    return jnp.stack(products).reshape(shape)


def _padded(x, padding: Padding):
    sides = ((0, 0), *padding, (0, 0))
    return lax.pad(x, jnp.zeros((), x.dtype), [(*pad, 0) for pad in sides])


def _product(x, y, axes: tuple[int, int]):
    """The sum over one axis of each."""
    return lax.dot_general(
        x,
        y,
        (((axes[0],), (axes[1],)), ((), ())),
        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
    )
