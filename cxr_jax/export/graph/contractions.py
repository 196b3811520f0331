"""Convolutions, pools and matrix products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cxr_jax.export.graph.elementwise import apply
from cxr_jax.export.graph.nodes import Graph
from cxr_jax.export.graph.values import (
    CHANNELS_FIRST,
    Operand,
    Unsupported,
    Value,
    ordered,
    plain,
    reshaped,
    straight,
    transposed,
    whole,
)


def _convolution(graph: Graph, eqn, x: Operand, kernel: Operand) -> Value:
    p = eqn.params
    images, kernels, results = p["dimension_numbers"]
    groups = p["feature_group_count"]
    if set(p["lhs_dilation"]) != {1} or p["batch_group_count"] != 1:
        raise Unsupported("a transposed convolution")
    if isinstance(x, Value):
        channels = images[1]
        is_grey = x.stored[channels] == 1 < x.shape[channels]
        if is_grey and groups == 1 and not isinstance(kernel, Value):
            # The same picture in every channel: the kernel's channels are added.
            kernel = kernel.sum(axis=kernels[1], keepdims=True)
            grey = tuple(1 if a == channels else n for a, n in enumerate(x.shape))
            x = x._replace(shape=grey)
        x = whole(graph, x)
    shape = eqn.outvars[0].aval.shape
    found = Value("", shape, shape, tuple(results), np.dtype(np.float32))
    pads = p["padding"]
    name = graph.add(
        "Conv",
        ordered(graph, x, tuple(images)),
        ordered(graph, whole(graph, kernel), tuple(kernels)),
        shape=found.laid,
        strides=list(p["window_strides"]),
        pads=[low for low, _ in pads] + [high for _, high in pads],
        dilations=list(p["rhs_dilation"]),
        group=groups,
        kernel_shape=[kernel.shape[axis] for axis in kernels[2:]],
    )
    return found._replace(name=name)


def _pool(graph: Graph, eqn, x: Value, op: str) -> Value:
    p = eqn.params
    window, strides, pads = (
        [p[key][axis] for axis in CHANNELS_FIRST]
        for key in ("window_dimensions", "window_strides", "padding")
    )
    dilations = {*p.get("base_dilation", ()), *p.get("window_dilation", ())}
    if len(window) != 4 or window[:2] != [1, 1] or dilations - {1}:
        raise Unsupported("a pool that is not over height and width")
    shape = eqn.outvars[0].aval.shape
    found = Value("", shape, shape, CHANNELS_FIRST, x.dtype)
    settings: dict[str, Any] = {
        "kernel_shape": window[2:],
        "strides": strides[2:],
        "pads": [low for low, _ in pads[2:]] + [high for _, high in pads[2:]],
    }
    if op == "AveragePool":
        settings["count_include_pad"] = 1
    laid = ordered(graph, whole(graph, x), CHANNELS_FIRST)
    found = found._replace(name=graph.add(op, laid, shape=found.laid, **settings))
    if op == "AveragePool":
        return apply(graph, "Mul", found, np.array(math.prod(window), x.dtype))
    return found


def _max_pool(graph: Graph, eqn, x: Value) -> Value:
    return _pool(graph, eqn, x, "MaxPool")


def _sum_pool(graph: Graph, eqn, x: Value) -> Value:
    return _pool(graph, eqn, x, "AveragePool")


def _any_pool(graph: Graph, eqn, x: Value, *start: np.ndarray) -> Value:
    """reduce_window of a function: the largest or the sum."""
    inside = [str(each.primitive) for each in eqn.params["jaxpr"].eqns]
    if inside == ["max"] and start[0] == -np.inf:
        return _max_pool(graph, eqn, x)
    if inside == ["add"] and start[0] == 0:
        return _sum_pool(graph, eqn, x)
    raise Unsupported(f"a window reduced by {inside}")


def _product(graph: Graph, eqn, x: Operand, y: Operand) -> Value:
    """lax.dot_general as Conv 1 x 1, as MatMul, or as MatMul of rearranged operands."""
    (ours, theirs), (batch, _) = eqn.params["dimension_numbers"]
    is_dense = len(ours) == 1 and not batch and ours[0] == len(x.shape) - 1
    if is_dense and isinstance(x, Value) and isinstance(y, np.ndarray) and y.ndim == 2:
        return _dense(graph, x, y if theirs[0] == 0 else y.T)
    return _general(graph, eqn, x, y)


def _dense(graph: Graph, x: Value, kernel: np.ndarray) -> Value:
    is_map = len(x.shape) == 4 and math.prod(x.shape[1:3]) > 1
    if is_map and x.order == CHANNELS_FIRST:
        return _as_convolution(graph, whole(graph, x), kernel)
    shape = (*x.shape[:-1], kernel.shape[1])
    name = graph.add("MatMul", straight(graph, x), kernel, shape=shape)
    return plain(name, shape, x.dtype)


def _as_convolution(graph: Graph, x: Value, kernel: np.ndarray) -> Value:
    shape = (*x.shape[:-1], kernel.shape[1])
    found = Value("", shape, shape, CHANNELS_FIRST, x.dtype)
    name = graph.add(
        "Conv",
        x.name,
        np.ascontiguousarray(kernel.T)[:, :, None, None],
        shape=found.laid,
        strides=[1, 1],
        pads=[0, 0, 0, 0],
        dilations=[1, 1],
        group=1,
        kernel_shape=[1, 1],
    )
    return found._replace(name=name)


def _general(graph: Graph, eqn, x: Operand, y: Operand) -> Value:
    (ours, theirs), (batch_x, batch_y) = eqn.params["dimension_numbers"]
    ours, theirs, batch_x, batch_y = map(list, (ours, theirs, batch_x, batch_y))
    free_x = _rest(x, batch_x + ours)
    free_y = _rest(y, batch_y + theirs)
    # Of x by y and of y by x, what needs fewer operands transposed.
    usual = _moves(x, batch_x + free_x + ours) + _moves(y, batch_y + theirs + free_y)
    other = _moves(y, batch_y + free_y + theirs) + _moves(x, batch_x + ours + free_x)
    if usual <= other:
        return _matrices(graph, x, y, batch_x, free_x, ours, batch_y, theirs, free_y)
    found = _matrices(graph, y, x, batch_y, free_y, theirs, batch_x, ours, free_x)
    first = len(batch_x) + len(free_y)
    rows = range(first, first + len(free_x))
    columns = range(len(batch_x), first)
    return transposed(found, (*range(len(batch_x)), *rows, *columns))


def _matrices(graph: Graph, x, y, batch_x, free_x, ours, batch_y, theirs, free_y):
    batch = [x.shape[axis] for axis in batch_x]
    rows = [x.shape[axis] for axis in free_x]
    columns = [y.shape[axis] for axis in free_y]
    depth = math.prod(x.shape[axis] for axis in ours)
    left = _matrix(graph, x, batch_x + free_x + ours, (*batch, math.prod(rows), depth))
    right = _matrix(
        graph, y, batch_y + theirs + free_y, (*batch, depth, math.prod(columns))
    )
    shape = (*batch, math.prod(rows), math.prod(columns))
    name = graph.add("MatMul", left, right, shape=shape)
    return reshaped(graph, plain(name, shape, x.dtype), (*batch, *rows, *columns))


def _moves(x: Operand, axes: list[int]) -> bool:
    """Whether the axes lie in another order, those of 1 left out."""
    if not isinstance(x, Value):
        return False
    return [a for a in x.order if x.shape[a] != 1] != [
        a for a in axes if x.shape[a] != 1
    ]


def _rest(x: Operand, taken: list[int]) -> list[int]:
    return [axis for axis in range(len(x.shape)) if axis not in taken]


def _matrix(graph: Graph, x: Operand, axes: list[int], shape) -> str:
    if not isinstance(x, Value):
        return graph.constant(x.transpose(axes).reshape(shape))
    return straight(graph, reshaped(graph, transposed(x, axes), shape))


RULES = {
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "reduce_window": _any_pool,
    "reduce_window_max": _max_pool,
    "reduce_window_sum": _sum_pool,
}
