"""The CPU lowering of `convolution`: the same sums in another order, and far faster.

XLA:CPU has one fast convolution: of [B, H, W, C] with a kernel [h, w, C, O]. What it
makes of the usual gradients is 2 to 100 times slower, most of all within a loop
(lax.scan, lax.fori_loop), where it does not reorder their axes. So both gradients are
written as that one convolution, or, where that is slow too, as products of matrices.

For as many groups as channels it has nothing fast. Written as a sum of shifted images,
a depthwise convolution becomes one loop over the output.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from cxr_jax.models import convolution_products as products
from cxr_jax.models.convolution_products import Padding
from cxr_jax.models.windows import windows

AXES = ("NHWC", "HWIO", "NHWC")

# A convolution reads its whole kernel for every image. Where that has more numbers than
# KERNEL_PER_PIXEL for each pixel of a map, products are faster: 3 to 5 times with 512
# channels of 4 x 4, 1.3 times with 256 of 8 x 8.
KERNEL_PER_PIXEL = 8192

# From these channels and filters on, products give the gradient of a kernel 1.1 to 1.7
# times as fast as a convolution; with 128 and 32 half as fast, with 256 and 64 0.6 times.
CHANNELS, FILTERS = 64, 96

# Images whose share in a kernel's gradient is summed at once. Of a map with LARGE pixels
# and at least WIDE filters one, since what a convolution reads again and again has to
# stay in the cache: 64 channels of 64 x 64 take 4 times as long with 8. Else so many that
# there are PIXELS of them, at least and at most: with fewer, a product is too short.
LARGE, WIDE = 1024, 32
PIXELS, LEAST, MOST = 2048, 8, 32


def convolve(x, kernel, stride: int, padding: Padding):
    """[B, h, w, O]."""
    size = kernel.shape[:2]
    places = [
        (side + sum(pad) - k) // stride + 1
        for side, pad, k in zip(x.shape[1:3], padding, size, strict=True)
    ]
    if _is_read_too_often(kernel, math.prod(places)):
        return products.convolve(x, kernel, stride, padding)
    return _slide(x, kernel, stride, padding)


def input_gradient(kernel, dy, stride: int, padding: Padding, shape):
    """[B, H, W, C] = `shape`: dy spread out by the stride, with the kernel rotated."""
    if _is_read_too_often(kernel, math.prod(dy.shape[1:3])):
        return products.input_gradient(kernel, dy, stride, padding, shape)
    pads = []
    for axis in (0, 1):
        before = kernel.shape[axis] - 1 - padding[axis][0]
        spread = stride * (dy.shape[axis + 1] - 1) + 1
        after = shape[axis + 1] + kernel.shape[axis] - 1 - spread - before
        pads.append((before, after))
    rotated = kernel[::-1, ::-1].swapaxes(2, 3)
    return _slide(dy, rotated, 1, tuple(pads), dilation=stride)


def kernel_gradient(x, dy, stride: int, padding: Padding, shape):
    """[h, w, C, O] = `shape`: dy slid over x, channels and images exchanged."""
    height, width, channels, filters = shape
    if height == width and channels >= CHANNELS and filters >= FILTERS:
        return products.kernel_gradient(x, dy, stride, padding, shape)
    pads = []
    for axis in (0, 1):
        before = padding[axis][0]
        covered = stride * (dy.shape[axis + 1] - 1) + shape[axis]
        pads.append((before, covered - x.shape[axis + 1] - before))

    def part(x, dy):
        return lax.conv_general_dilated(
            x.transpose(3, 1, 2, 0),
            dy.transpose(1, 2, 0, 3),
            (1, 1),
            pads,
            rhs_dilation=(stride, stride),
            dimension_numbers=AXES,
        )

    total = _sum_over_images(part, x, dy)
    return total.transpose(1, 2, 0, 3)


def _is_read_too_often(kernel, pixels: int) -> bool:
    """Whether products are faster than sliding the kernel over maps of `pixels`."""
    height, width = kernel.shape[:2]
    return height == width and kernel.size >= KERNEL_PER_PIXEL * pixels


def _slide(x, kernel, stride: int, padding: Padding, dilation: int = 1):
    """[B, h, w, O]; with zeros between the pixels of x where `dilation` is above 1.

    Where the kernel is larger than the image, as in the last layers on a small one,
    XLA:CPU takes another path, up to 30 times slower. Padding the image beforehand, in
    a way that XLA cannot see through, avoids that.
    """
    sides = [dilation * (side - 1) + 1 for side in x.shape[1:3]]
    is_small = any(n < k for n, k in zip(sides, kernel.shape[:2], strict=True))
    if is_small and min(min(pad) for pad in padding) >= 0:
        none = (0, 0, 0)
        zeros = [none, *((*pad, dilation - 1) for pad in padding), none]
        x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), zeros))
        padding, dilation = ((0, 0), (0, 0)), 1
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        lhs_dilation=(dilation, dilation),
        dimension_numbers=AXES,
    )


def _sum_over_images(part, x, dy):
    """The sum of part(x, dy) over images, in float32 at least; a loop over a few each.

    A loop, since 32 parts written out take long to compile and are no faster.
    """
    devices = math.gcd(len(x), jax.device_count())
    # Devices hold consecutive images, so each sums its own.
    x, dy = (y.reshape(devices, -1, *y.shape[1:]) for y in (x, dy))
    together = _images_together(dy.shape[2:])
    count = -(-x.shape[1] // together)
    rest = x.shape[1] - (count - 1) * together

    def some(start, length: int):
        taken = (lax.dynamic_slice_in_dim(y, start, length, axis=1) for y in (x, dy))
        parts = part(*(y.reshape(-1, *y.shape[2:]) for y in taken))
        return parts.astype(jnp.promote_types(parts.dtype, jnp.float32))

    def add(i, total):
        return total + some(rest + i * together, together)

    first = some(0, rest)
    return lax.fori_loop(0, count - 1, add, first) if count > 1 else first


def _images_together(shape: tuple[int, int, int]) -> int:
    """Of maps [h, w, O], the number whose share is summed at once."""
    height, width, filters = shape
    if height * width >= LARGE and filters >= WIDE:
        return 1
    return min(max(PIXELS // (height * width), LEAST), MOST)


def depthwise(x, kernel, stride: int):
    """[B, h, w, C] of images [B, H, W, C] and a kernel [k, k, C]; no padding."""
    taps = windows(x, len(kernel), stride)
    return sum(tap * kernel[ij].reshape(1, 1, 1, -1) for ij, tap in taps.items())


def depthwise_input_gradient(kernel, dy, stride: int, shape):
    """[B, H, W, C] = `shape`: the same sum over the rotated kernel."""
    around = len(kernel) - 1
    sides = [
        (around, length - stride * (places - 1) - 1, stride - 1)
        for length, places in zip(shape[1:3], dy.shape[1:3], strict=True)
    ]
    spread = lax.pad(dy, jnp.zeros((), dy.dtype), [(0, 0, 0), *sides, (0, 0, 0)])
    return depthwise(spread, kernel[::-1, ::-1], 1)


def depthwise_kernel_gradient(x, dy, stride: int, size: int):
    """[k, k, C]: sums over images and places, a row of the kernel at a time.

    In one piece, 7 x 7 takes XLA 40 s to compile for three layers, and runs 4 times
    slower.
    """
    height, width = (stride * (places - 1) + 1 for places in dy.shape[1:3])

    def row(i, total):
        rows = lax.dynamic_slice_in_dim(x, i, height, axis=1)[:, ::stride]
        products = [
            (rows[:, :, j : j + width : stride] * dy).sum(axis=(0, 1, 2))
            for j in range(size)
        ]
        return lax.dynamic_update_index_in_dim(total, jnp.stack(products), i, 0)

    return lax.fori_loop(0, size, row, jnp.zeros((size, size, x.shape[-1]), x.dtype))
