"""Convolutions: the plain form, and a lowering that is fast on the CPU.

What is traced holds both, and the backend picks one: `convolution_cpu` on the CPU, XLA's
own convolution and its gradients elsewhere. Within `plain()` XLA's alone is traced, for
exports and for derivatives that a custom gradient cannot have.

Images are [B, H, W, C], kernels [h, w, C, O] or depthwise [k, k, C], of one dtype.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from cxr_jax.models import convolution_cpu as cpu
from cxr_jax.models.convolution_cpu import AXES, Padding

# Part of jit's cache key: a function traced within `plain()` is traced again outside.
_plain = jax.make_user_context(False)


def plain():
    """A context in which convolutions and pools are traced in their plain form."""
    return _plain(True)


def is_plain() -> bool:
    """Whether this is traced within `plain()`."""
    return _plain.value


def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: str | int):
    """[B, h, w, O]; padding 'SAME', 'VALID', or the pixels on every side."""
    strides = (stride, stride)
    if isinstance(padding, str):
        rows, columns = lax.padtype_to_pads(
            x.shape[1:3], kernel.shape[:2], strides, padding
        )
        sides = ((rows[0], rows[1]), (columns[0], columns[1]))
    else:
        sides = ((padding, padding), (padding, padding))
    chosen = _convolve_plainly if is_plain() else _convolve
    return chosen(x, kernel, stride, sides)


def depthwise(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """[B, h, w, C]: every channel by itself, kernel [k, k, C], no padding."""
    chosen = _depthwise_plainly if is_plain() else _depthwise
    return chosen(x, kernel, stride)


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """[..., O]: the channels of x [..., C] by a kernel [C, O].

    The gradient of the kernel is written with x first and both as matrices. As JAX has
    it, with dy first and the result transposed, XLA:CPU copies dy transposed and takes
    2 to 15 times as long; with several axes to sum over it copies x.
    """
    return lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))


def _product_forward(x, kernel):
    return product(x, kernel), (x, kernel)


def _product_backward(kept, dy):
    x, kernel = kept
    of_x = lax.dot_general(dy, kernel, (((x.ndim - 1,), (1,)), ((), ())))
    x, dy = (y.reshape(-1, y.shape[-1]) for y in (x, dy))
    return of_x, lax.dot_general(x, dy, (((0,), (0,)), ((), ())))


product.defvjp(_product_forward, _product_backward)


def _convolve_plainly(x, kernel, stride: int, padding: Padding):
    strides = (stride, stride)
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=AXES)


def _depthwise_plainly(x, kernel, stride: int):
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        (stride, stride),
        "VALID",
        dimension_numbers=AXES,
        feature_group_count=x.shape[-1],
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x, kernel, stride: int, padding: Padding):
    settings = {"stride": stride, "padding": padding}

    def forward(x, kernel):
        return lax.platform_dependent(
            x,
            kernel,
            cpu=partial(cpu.convolve, **settings),
            default=partial(_convolve_plainly, **settings),
        )

    return _by_member(forward)(x, kernel)


def _convolve_forward(x, kernel, stride, padding):
    return _convolve(x, kernel, stride, padding), (x, kernel)


def _convolve_backward(stride, padding, kept, dy):
    of_x, of_kernel = _gradients(
        partial(_convolve_plainly, stride=stride, padding=padding),
        lambda kernel, dy, x: cpu.input_gradient(kernel, dy, stride, padding, x.shape),
        lambda x, dy, kernel: cpu.kernel_gradient(x, dy, stride, padding, kernel.shape),
        *kept,
    )
    # Apart, so that the one of the first layer's images is left out altogether.
    return _by_member(of_x)(kept[1], dy), _by_member(of_kernel)(kept[0], dy)


_convolve.defvjp(_convolve_forward, _convolve_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _depthwise(x, kernel, stride: int):
    return lax.platform_dependent(
        x,
        kernel,
        cpu=partial(cpu.depthwise, stride=stride),
        default=partial(_depthwise_plainly, stride=stride),
    )


def _depthwise_forward(x, kernel, stride: int):
    return _depthwise(x, kernel, stride), (x, kernel)


def _depthwise_backward(stride: int, kept, dy):
    of_x, of_kernel = _gradients(
        partial(_depthwise_plainly, stride=stride),
        lambda kernel, dy, x: cpu.depthwise_input_gradient(kernel, dy, stride, x.shape),
        lambda x, dy, kernel: cpu.depthwise_kernel_gradient(x, dy, stride, len(kernel)),
        *kept,
    )
    return of_x(kept[1], dy), of_kernel(kept[0], dy)


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


def _gradients(function, input_on_cpu, kernel_on_cpu, x, kernel):
    """(kernel, dy) -> that of x, (x, dy) -> that of the kernel: XLA's but on the CPU.

    function: bilinear in (x, kernel).
    input_on_cpu, kernel_on_cpu: of (kernel, dy, x) and (x, dy, kernel), of which the
      last gives its shape alone.
    """
    x, kernel = (
        jax.ShapeDtypeStruct(array.shape, array.dtype) for array in (x, kernel)
    )

    def of_x(kernel, dy):
        usual = jax.linear_transpose(lambda x: function(x, kernel), x)
        return lax.platform_dependent(
            kernel,
            dy,
            cpu=lambda kernel, dy: input_on_cpu(kernel, dy, x).astype(x.dtype),
            default=lambda _, dy: usual(dy)[0],
        )

    def of_kernel(x, dy):
        usual = jax.linear_transpose(lambda kernel: function(x, kernel), kernel)
        return lax.platform_dependent(
            x,
            dy,
            cpu=lambda x, dy: kernel_on_cpu(x, dy, kernel).astype(kernel.dtype),
            default=lambda _, dy: usual(dy)[0],
        )

    return of_x, of_kernel


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
