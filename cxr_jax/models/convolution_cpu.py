"""The CPU lowering of `convolution`: the same sums in another order, and far faster.

XLA:CPU has one fast convolution: of [B, H, W, C] with a kernel [h, w, C, O]. What it
makes of the usual gradients is 2 to 100 times slower, most of all within a loop
(lax.scan, lax.fori_loop), where it does not reorder their axes. So both gradients are
written as that one convolution.

For as many groups as channels it has nothing fast. Written as a sum of shifted images,
a depthwise convolution becomes one loop over the output.
"""

import math
from functools import reduce

import jax
import jax.numpy as jnp
from jax import lax

AXES = ("NHWC", "HWIO", "NHWC")

# Images whose share in a kernel's gradient is summed at once: so many that there are
# PIXELS of them, at least and at most. With more, what is read repeatedly outgrows the
# cache: 64 channels of 56 x 56 take 1.4 times as long with 32. With fewer of a small map
# a product is too short: 512 channels of 4 x 4 take 1.8 times as long with 8.
PIXELS, LEAST, MOST = 2048, 8, 32

Padding = tuple[tuple[int, int], tuple[int, int]]


def convolve(x, kernel, stride: int, padding: Padding, dilation: int = 1):
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


def input_gradient(kernel, dy, stride: int, padding: Padding, shape):
    """[B, H, W, C] = `shape`: dy spread out by the stride, with the kernel rotated."""
    pads = []
    for axis in (0, 1):
        before = kernel.shape[axis] - 1 - padding[axis][0]
        spread = stride * (dy.shape[axis + 1] - 1) + 1
        after = shape[axis + 1] + kernel.shape[axis] - 1 - spread - before
        pads.append((before, after))
    rotated = kernel[::-1, ::-1].swapaxes(2, 3)
    return convolve(dy, rotated, 1, tuple(pads), dilation=stride)


def kernel_gradient(x, dy, stride: int, padding: Padding, shape):
    """[h, w, C, O] = `shape`: dy slid over x, channels and images exchanged."""
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


def _sum_over_images(part, x, dy):
    """The sum of part(x, dy) over images, a few of each device at a time."""
    devices = math.gcd(len(x), jax.device_count())
    height, width = dy.shape[1:3]
    together = min(max(PIXELS // (height * width), LEAST), MOST)
    count = -(-len(x) // devices // together)
    # Devices hold consecutive images, so each sums its own.
    x, dy = (y.reshape(devices, -1, *y.shape[1:]) for y in (x, dy))
    parts = []
    for i in range(count):
        some = slice(i * together, (i + 1) * together)
        parts.append(part(*(y[:, some].reshape(-1, *y.shape[2:]) for y in (x, dy))))
    return reduce(jnp.add, parts)


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


def windows(x, size: int, stride: int) -> dict[tuple[int, int], jax.Array]:
    """{(i, j): pixel (i, j) of every size x size window, [B, h, w, C]}."""
    batch, height, width, channels = x.shape
    rows, columns = ((n - size) // stride * stride + 1 for n in (height, width))
    return {
        (i, j): lax.slice(
            x,
            (0, i, j, 0),
            (batch, i + rows, j + columns, channels),
            (1, stride, stride, 1),
        )
        for i in range(size)
        for j in range(size)
    }


def spread(taps: dict[tuple[int, int], jax.Array], stride: int, shape) -> jax.Array:
    """The transpose of `windows`: every tap added where it came from.

    Pixels whose positions have the same remainder by the stride receive from the same
    taps. They are summed group by group, so that no zeros between them are added.
    """
    batch, height, width, channels = shape
    rows, columns = -(-height // stride), -(-width // stride)

    def group(top, left):
        total = jnp.zeros(
            (batch, rows, columns, channels), next(iter(taps.values())).dtype
        )
        for (i, j), tap in taps.items():
            if (i % stride, j % stride) == (top, left):
                down, right = i // stride, j // stride
                after = rows - down - tap.shape[1], columns - right - tap.shape[2]
                total += jnp.pad(
                    tap, ((0, 0), (down, after[0]), (right, after[1]), (0, 0))
                )
        return total

    groups = [
        jnp.stack([group(top, left) for left in range(stride)], axis=3)
        for top in range(stride)
    ]
    whole = jnp.stack(groups, axis=2)
    whole = whole.reshape(batch, rows * stride, columns * stride, channels)
    return whole[:, :height, :width]
