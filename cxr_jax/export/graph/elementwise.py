"""Primitives that work entry by entry, and reductions."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from cxr_jax.export.graph.nodes import Graph
from cxr_jax.export.graph.values import (
    CHANNELS_FIRST,
    Operand,
    Unsupported,
    Value,
    broadcastable,
    whole,
)

SYMMETRIC = ("Add", "Mul", "Max", "Min", "And", "Or", "Equal")


def apply(graph: Graph, op: str, *operands: Operand, dtype=None, **attributes) -> Value:
    """ONNX's `op` of operands that broadcast; dtype: of the result, that of the last."""
    order = _order(operands)
    if op in SYMMETRIC and not isinstance(operands[0], Value):
        operands = operands[::-1]  # constants last
    names = [broadcastable(graph, x, order) for x in operands]
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    sides = [
        x.stored if isinstance(x, Value) else _sides(graph, name, order)
        for x, name in zip(operands, names, strict=True)
    ]
    stored = np.broadcast_shapes(*sides)
    dtype = np.dtype(dtype or operands[-1].dtype)
    found = Value("", shape, stored, order, dtype)
    return found._replace(name=graph.add(op, *names, shape=found.laid, **attributes))


def _sides(graph: Graph, name: str, order) -> tuple[int, ...]:
    laid = graph.constants[name].shape
    return tuple(laid[order.index(axis)] for axis in range(len(laid)))


def _order(operands) -> tuple[int, ...]:
    """Of the largest operand: what is small is moved instead."""
    values = [x for x in operands if isinstance(x, Value)]
    rank = max(len(x.shape) for x in operands)
    usual = CHANNELS_FIRST if rank == 4 else tuple(range(rank))
    largest = max(
        values, key=lambda x: (len(x.shape), math.prod(x.stored), x.order == usual)
    )
    return largest.order if len(largest.shape) == rank else tuple(range(rank))


def _simple(op: str, dtype=None, **attributes):
    def rule(graph: Graph, eqn, *operands: Operand) -> Value:
        return apply(graph, op, *operands, dtype=dtype, **attributes)

    return rule


def _sub(graph: Graph, eqn, x: Operand, y: Operand) -> Value:
    if not isinstance(y, Value) and y.dtype.kind in "if":
        return apply(graph, "Add", x, -y)
    return apply(graph, "Sub", x, y)


def _max(graph: Graph, eqn, x: Operand, y: Operand) -> Operand:
    for value, limit in ((x, y), (y, x)):
        if isinstance(limit, Value) or not np.issubdtype(limit.dtype, np.floating):
            continue
        if (limit == -np.inf).all():
            return value
        if (limit == 0).all():
            return apply(graph, "Relu", value)
    return apply(graph, "Max", x, y)


def _not_equal(graph: Graph, eqn, x: Operand, y: Operand) -> Value:
    return apply(graph, "Not", apply(graph, "Equal", x, y, dtype=bool))


def _not(graph: Graph, eqn, x: Value) -> Value:
    if x.dtype != bool:
        raise Unsupported("not of integers")
    return apply(graph, "Not", x)


def _square(graph: Graph, eqn, x: Value) -> Value:
    return apply(graph, "Mul", x, x)


def _power(graph: Graph, eqn, x: Value) -> Value:
    exponent = eqn.params["y"]
    found = x
    for _ in range(abs(exponent) - 1):
        found = apply(graph, "Mul", found, x)
    return apply(graph, "Reciprocal", found) if exponent < 0 else found


def _rsqrt(graph: Graph, eqn, x: Value) -> Value:
    return apply(graph, "Reciprocal", apply(graph, "Sqrt", x))


def _erfc(graph: Graph, eqn, x: Value) -> Value:
    return apply(graph, "Sub", np.ones((), x.dtype), apply(graph, "Erf", x))


def _select(graph: Graph, eqn, which: Operand, *cases: Operand) -> Value:
    if len(cases) != 2 or which.dtype != bool:
        raise Unsupported("a choice among more than two")
    return apply(graph, "Where", which, cases[1], cases[0])


def _clamp(graph: Graph, eqn, low: Operand, x: Operand, high: Operand) -> Operand:
    found = _max(graph, eqn, x, low)
    return apply(graph, "Min", found, high)


def _round(graph: Graph, eqn, x: Value) -> Value:
    if int(eqn.params["rounding_method"]) != 1:
        raise Unsupported("halves away from zero")
    return apply(graph, "Round", x)  # to even, as ONNX does


def _cast(graph: Graph, eqn, x: Value) -> Value:
    dtype = np.dtype(eqn.params["new_dtype"])
    return x if dtype == x.dtype else apply(graph, "Cast", x, dtype=dtype, to=dtype)


def reduced(graph: Graph, op: str, x: Value, axes) -> Value:
    """ONNX's Reduce over axes, which are left out of the result."""
    x = whole(graph, x)
    places = sorted(x.order.index(axis) for axis in axes)
    kept = [1 if i in places else n for i, n in enumerate(x.laid)]
    name = graph.add(
        op, x.name, np.array(places, np.int64), shape=tuple(kept), keepdims=1
    )
    left = [axis for axis in range(len(x.shape)) if axis not in axes]
    order = tuple(left.index(axis) for axis in x.order if axis in left)
    shape = tuple(x.shape[axis] for axis in left)
    found = x._replace(shape=shape, stored=shape, order=order)
    sides = np.array(found.laid, np.int64)
    return found._replace(name=graph.add("Reshape", name, sides, shape=found.laid))


def _reduce(op: str):
    def rule(graph: Graph, eqn, x: Value) -> Value:
        return reduced(graph, op, x, eqn.params["axes"])

    return rule


def _same(graph: Graph, eqn, x: Value) -> Value:
    return x


_compare = partial(_simple, dtype=bool)
RULES = {
    "add": _simple("Add"),
    "add_any": _simple("Add"),
    "mul": _simple("Mul"),
    "sub": _sub,
    "div": _simple("Div"),
    "rem": _simple("Mod", fmod=1),
    "max": _max,
    "min": _simple("Min"),
    "neg": _simple("Neg"),
    "abs": _simple("Abs"),
    "sign": _simple("Sign"),
    "floor": _simple("Floor"),
    "ceil": _simple("Ceil"),
    "round": _round,
    "exp": _simple("Exp"),
    "log": _simple("Log"),
    "tanh": _simple("Tanh"),
    "sqrt": _simple("Sqrt"),
    "logistic": _simple("Sigmoid"),
    "erf": _simple("Erf"),
    "erfc": _erfc,
    "rsqrt": _rsqrt,
    "square": _square,
    "integer_pow": _power,
    "pow": _simple("Pow"),
    "and": _simple("And"),
    "or": _simple("Or"),
    "not": _not,
    "eq": _compare("Equal"),
    "ne": _not_equal,
    "lt": _compare("Less"),
    "le": _compare("LessOrEqual"),
    "gt": _compare("Greater"),
    "ge": _compare("GreaterOrEqual"),
    "select_n": _select,
    "clamp": _clamp,
    "convert_element_type": _cast,
    "reduce_sum": _reduce("ReduceSum"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "stop_gradient": _same,
    "copy": _same,
    "copy_p": _same,
    "optimization_barrier": _same,
    "reduce_precision": _same,
}
