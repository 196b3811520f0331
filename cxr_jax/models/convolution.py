"""Convolution with gradients that are fast on the CPU too.

XLA:CPU has one fast convolution: of [B, H, W, C] with a kernel [h, w, C, O]. What it
makes of the usual gradients is 2 to 100 times slower, most of all within a loop
(lax.scan, lax.fori_loop), where it does not turn their axes round. So on the CPU both
gradients are written as that one convolution. The sums are the same in another order.

Images are [B, H, W, C], kernels [h, w, C, O]; both have the same dtype.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

AXES = ("NHWC", "HWIO", "NHWC")

# Pictures whose share in a kernel's gradient is summed at once. What is read again
# and again outgrows the cache with more: 64 channels of 56 x 56 take 1.4 times as long
# with 32.
TOGETHER = 8

Padding = tuple[tuple[int, int], tuple[int, int]]


def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: str | int):
    """[B, h, w, O]; padding 'SAME', 'VALID', or the pixels on every side."""
    strides = (stride, stride)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    else:
        padding = ((padding, padding), (padding, padding))
    return _convolve(x, kernel, stride, tuple(map(tuple, padding)))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x, kernel, stride: int, padding: Padding):
    settings = {"stride": stride, "padding": padding}

    def forward(x, kernel):
        return lax.platform_dependent(
            x,
            kernel,
            cpu=partial(_on_cpu, **settings),
            default=partial(_usual, **settings),
        )

    return _by_member(forward)(x, kernel)


def _usual(x, kernel, stride: int, padding: Padding):
    strides = (stride, stride)
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=AXES)


def _on_cpu(x, kernel, stride: int, padding: Padding, dilation: int = 1):
    """The same, of pictures with zeros between their pixels where `dilation` is above 1.

    Where the kernel is larger than the picture, as in the last layers of a small one,
    XLA:CPU takes another, up to 30 times slower way. It is kept from it by zeros that
    the picture gets beforehand, and that XLA cannot see through.
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


def _forward(x, kernel, stride, padding):
    return _convolve(x, kernel, stride, padding), (x, kernel)


def _backward(stride, padding, kept, dy):
    x, kernel = (jax.ShapeDtypeStruct(array.shape, array.dtype) for array in kept)

    def of_x(kernel, dy):
        usual = jax.linear_transpose(lambda x: _usual(x, kernel, stride, padding), x)
        return lax.platform_dependent(
            kernel,
            dy,
            cpu=lambda kernel, dy: input_gradient(
                kernel, dy, stride, padding, x.shape
            ).astype(x.dtype),
            default=lambda _, dy: usual(dy)[0],
        )

    def of_kernel(x, dy):
        usual = jax.linear_transpose(
            lambda kernel: _usual(x, kernel, stride, padding), kernel
        )
        return lax.platform_dependent(
            x,
            dy,
            cpu=lambda x, dy: kernel_gradient(
                x, dy, stride, padding, kernel.shape
            ).astype(kernel.dtype),
            default=lambda _, dy: usual(dy)[0],
        )

    # Apart, so that the one of the first layer's pictures is left out altogether.
    return _by_member(of_x)(kept[1], dy), _by_member(of_kernel)(kept[0], dy)


_convolve.defvjp(_forward, _backward)


def _by_member(function):
    """`function`, whose vmap is a loop on the CPU.

    Together, the convolutions of members with a kernel each make one of many groups:
    elsewhere that is faster, on the CPU it is 5 times slower.
    """
    call = custom_vmap(function)

    @call.def_vmap
    def batched(size, have_axis, *arrays):
        axes = [0 if have else None for have in have_axis]

        def loop(*arrays):
            def one(i):
                return function(
                    *(
                        array
                        if axis is None
                        else lax.dynamic_index_in_dim(array, i, keepdims=False)
                        for array, axis in zip(arrays, axes, strict=True)
                    )
                )

            return lax.map(one, jnp.arange(size))

        result = lax.platform_dependent(
            *arrays, cpu=loop, default=jax.vmap(function, in_axes=axes)
        )
        return result, jax.tree.map(lambda _: True, result)

    return call


def input_gradient(kernel, dy, stride: int, padding: Padding, shape):
    """[B, H, W, C], of that `shape`: dy spread out by the stride, kernel turned."""
    pads = []
    for axis in (0, 1):
        before = kernel.shape[axis] - 1 - padding[axis][0]
        spread = stride * (dy.shape[axis + 1] - 1) + 1
        after = shape[axis + 1] + kernel.shape[axis] - 1 - spread - before
        pads.append((before, after))
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return _on_cpu(dy, turned, 1, tuple(pads), dilation=stride)


def kernel_gradient(x, dy, stride: int, padding: Padding, shape):
    """[h, w, C, O], of that `shape`: dy slid over x, with channels for pictures."""
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

    total = _sum_over_pictures(part, x, dy)
    return total.transpose(1, 2, 0, 3)


def _sum_over_pictures(part, x, dy):
    """The sum of part(x, dy) over pictures, a few of each device at a time."""
    devices = math.gcd(len(x), jax.device_count())
    count = -(-len(x) // devices // TOGETHER)
    # Devices hold consecutive pictures: each then finds its own in its own part.
    x, dy = (y.reshape(devices, -1, *y.shape[1:]) for y in (x, dy))
    total = 0
    for i in range(count):
        some = slice(i * TOGETHER, (i + 1) * TOGETHER)
        total += part(*(y[:, some].reshape(-1, *y.shape[2:]) for y in (x, dy)))
    return total


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
    """The transpose of `windows`: every tap put back where it came from, and added.

    Pixels with the same remainder of their position by the stride get theirs from the
    same taps, so that is how they are grouped: no zeros between them are added.
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
