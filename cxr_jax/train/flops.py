"""How many floating point operations a function does, read off its jaxpr.

Counted are matrix products and convolutions, a multiply-add as two; they are nearly all
that a network computes. (Papers and model tables often call multiply-adds FLOPs.) Of
a depthwise convolution the plain, grouped form is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.interpreters.partial_eval import dce_jaxpr

# Their bodies run more often than their parameters tell.
_REPEATED = ("while", "shard_map", "pallas_call")


def flops(function: Callable[..., Any], *abstract_arguments: Any) -> int:
    """Operations of one call; nothing is computed or compiled.

    Where there is a choice of branches, the largest counts: the textbook's, where a
    platform has a cheaper form of its own.

    Args:
      function: of arrays, jitted or not.
      abstract_arguments: pytrees of jax.ShapeDtypeStruct, or of arrays.

    Raises:
      ValueError: there is a product in a loop of unknown length, or in a kernel.
    """
    return count(jax.make_jaxpr(function)(*abstract_arguments))


def count(closed: Any) -> int:
    """The same of a closed jaxpr, as jax.jit(f).trace(...) has one."""
    # Without what no output needs; the compiler leaves it out as well.
    return _of_jaxpr(dce_jaxpr(closed.jaxpr, True)[0])


def _of_jaxpr(jaxpr: Any) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    shapes = [variable.aval.shape for variable in equation.invars]
    if name == "dot_general":
        return _product(*shapes, params["dimension_numbers"])
    if name == "conv_general_dilated":
        output = equation.outvars[0].aval.shape
        return _convolution(*shapes, output, params["dimension_numbers"])
    inner = [_of_jaxpr(jaxpr) for jaxpr in _jaxprs(params)]
    if name == "cond":
        return max(inner)
    if name == "scan":
        return params["length"] * sum(inner)
    if name in _REPEATED and any(inner):
        raise ValueError(
            f"there are matrix products within a {name}, which cannot be counted: use "
            "lax.scan, or a lax.fori_loop whose length is a Python number"
        )
    return sum(inner)


def _product(left, right, dimension_numbers) -> int:
    (_, summed), (_, batch) = dimension_numbers
    columns = [size for k, size in enumerate(right) if k not in (*summed, *batch)]
    return 2 * math.prod(left) * math.prod(columns)


def _convolution(image, kernel, output, dimension_numbers) -> int:
    """Along each axis, an element of the image meets one of the kernel in one place.

    Any two of (element, element of the kernel, place) settle the third, so the two
    shortest axes bound the number of meetings. With strides that are places times
    kernel, as in the textbook; with a dilated image image times kernel, without the
    zeros in between; in the gradient with respect to the kernel places times image:
    each gradient costs as much as the convolution itself.
    """
    image_spec, kernel_spec, output_spec = dimension_numbers
    meetings = 1
    for axes in zip(image_spec[2:], kernel_spec[2:], output_spec[2:], strict=True):
        of_image, of_kernel, of_output = axes
        lengths = image[of_image], kernel[of_kernel], output[of_output]
        meetings *= math.prod(sorted(lengths)[:2])
    # Axes (0, 1) are (batch, features) and, of the kernel, (to, from). Groups of
    # either kind are in these shapes already.
    summed = kernel[kernel_spec[1]]
    return 2 * meetings * summed * math.prod(output[k] for k in output_spec[:2])


def _jaxprs(value: Any) -> Iterator[Any]:
    """Those in the parameters of an equation: calls, loops, branches, derivatives."""
    if hasattr(value, "eqns"):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _jaxprs(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _jaxprs(part)
