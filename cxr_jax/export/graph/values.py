"""Arrays of a graph with the order in which their axes lie.

JAX's images are [B, H, W, C], ONNX's convolutions want [B, C, H, W]. So an array keeps
the axes that JAX sees and, beside them, where each of them lies; it is transposed only
where an operator needs another order, or nothing else is left. Broadcasts are kept in
the same manner: an axis of n equal entries is stored as one until someone needs all.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, overload

import numpy as np

from cxr_jax.export.graph.nodes import Graph


class Unsupported(Exception):
    """What a rule is asked for has no ONNX operator; `convert` says where it stands."""


CHANNELS_FIRST = (0, 3, 1, 2)


class Value(NamedTuple):
    """An array that the graph computes.

    Attributes:
      name: in the graph.
      shape: that JAX sees.
      stored: the same, with 1 for an axis whose entries are all equal and kept once.
      order: order[i] is the axis of `shape` that lies at place i.
      dtype: of numpy.
    """

    name: str
    shape: tuple[int, ...]
    stored: tuple[int, ...]
    order: tuple[int, ...]
    dtype: Any

    @property
    def laid(self) -> tuple[int, ...]:
        """The shape as it lies in the graph."""
        return tuple(self.stored[axis] for axis in self.order)


Operand = Value | np.ndarray


def plain(name: str, shape, dtype) -> Value:
    """A value that lies as JAX sees it."""
    shape = tuple(shape)
    return Value(name, shape, shape, tuple(range(len(shape))), np.dtype(dtype))


def ordered(graph: Graph, x: Operand, order: tuple[int, ...]) -> str:
    """The name of `x` with its axes in that order; broadcast axes stay 1."""
    if not isinstance(x, Value):
        return graph.constant(x.transpose(order))
    return _laid(graph, x, order).name


def _laid(graph: Graph, x: Value, order: tuple[int, ...]) -> Value:
    if x.order == tuple(order):
        return x
    wanted = x._replace(order=tuple(order))
    if _filled(x) == _filled(wanted):  # only axes of 1 move
        name = _reshape(graph, x.name, x.laid, wanted.laid)
    else:
        places = [x.order.index(axis) for axis in order]
        name = graph.add("Transpose", x.name, shape=wanted.laid, perm=places)
    return wanted._replace(name=name)


def _filled(x: Value) -> list[int]:
    return [axis for axis in x.order if x.stored[axis] != 1]


@overload
def whole(graph: Graph, x: Value) -> Value: ...
@overload
def whole(graph: Graph, x: Operand) -> Operand: ...
def whole(graph: Graph, x: Operand) -> Operand:
    """`x` with every entry stored."""
    if not isinstance(x, Value) or x.stored == x.shape:
        return x
    wanted = x._replace(stored=x.shape)
    sides = np.array(wanted.laid, np.int64)
    return wanted._replace(name=graph.add("Expand", x.name, sides, shape=wanted.laid))


def straight(graph: Graph, x: Operand) -> str:
    """The name of `x` whole, and as JAX sees it."""
    if not isinstance(x, Value):
        return graph.constant(x)
    return ordered(graph, whole(graph, x), tuple(range(len(x.shape))))


def broadcastable(graph: Graph, x: Operand, order: tuple[int, ...]) -> str:
    """`x` for an operator that broadcasts, in that order; a scalar stays one."""
    if x.shape == ():
        return x.name if isinstance(x, Value) else graph.constant(x)
    if not isinstance(x, Value):
        x = uniform(x)
    return ordered(graph, x, order)


def uniform(array: np.ndarray) -> np.ndarray:
    """With 1 for every axis along which nothing changes."""
    for axis, length in enumerate(array.shape):
        first = array.take([0], axis) if length > 1 else array
        if length > 1 and (array == first).all():
            array = first
    return array


def transposed(x: Value, permutation) -> Value:
    """lax.transpose: nothing is computed."""
    inverse = {axis: i for i, axis in enumerate(permutation)}
    return x._replace(
        shape=tuple(x.shape[axis] for axis in permutation),
        stored=tuple(x.stored[axis] for axis in permutation),
        order=tuple(inverse[axis] for axis in x.order),
    )


def broadcast(graph: Graph, x: Value, shape, axes) -> Value:
    """lax.broadcast_in_dim: only axes of 1 are put in; the rest is left for later."""
    stored = [1] * len(shape)
    for axis, new in enumerate(axes):
        stored[new] = x.stored[axis]
    filled = [axes[axis] for axis in x.order if x.stored[axis] != 1]
    found = _with_ones(x, shape, stored, filled)
    return found._replace(name=_reshape(graph, x.name, x.laid, found.laid))


def reshaped(graph: Graph, x: Value, shape) -> Value:
    """lax.reshape: axes that are split or merged keep their place where they can."""
    groups = _groups(x.shape, shape)
    if any(len(old) > 1 or len(new) > 1 for old, new in groups):
        x = whole(graph, x)
    filled = _filled(x._replace(stored=x.shape))
    starts = {}
    for old, new in groups:
        at = filled.index(old[0])
        if filled[at : at + len(old)] != old:  # they do not lie side by side
            x = _laid(graph, x, tuple(range(len(x.shape))))
            return reshaped(graph, x, shape)
        starts[at] = (old, new)
    stored, places = [1] * len(shape), []
    for at in sorted(starts):
        old, new = starts[at]
        is_alone = len(old) == len(new) == 1
        for axis in new:
            stored[axis] = x.stored[old[0]] if is_alone else shape[axis]
        places += [axis for axis in new if stored[axis] != 1]
    found = _with_ones(x, shape, stored, places)
    return found._replace(name=_reshape(graph, x.name, x.laid, found.laid))


def _groups(old, new) -> list[tuple[list[int], list[int]]]:
    """Which axes become which: the smallest groups of equal size, axes of 1 left out."""
    left = [axis for axis, n in enumerate(old) if n != 1]
    right = [axis for axis, n in enumerate(new) if n != 1]
    groups = []
    while left or right:
        ours, theirs = [left.pop(0)], [right.pop(0)]
        while True:
            sizes = math.prod(old[a] for a in ours), math.prod(new[a] for a in theirs)
            if sizes[0] == sizes[1]:
                break
            if sizes[0] < sizes[1]:
                ours.append(left.pop(0))
            else:
                theirs.append(right.pop(0))
        groups.append((ours, theirs))
    return groups


def _with_ones(x: Value, shape, stored, filled: list[int]) -> Value:
    """A value whose axes above 1 lie as in `filled`, the others where they may."""
    rank = len(shape)
    ones = [axis for axis in range(rank) if axis not in filled]
    orders = [tuple(range(rank)), CHANNELS_FIRST, (*ones, *filled)]
    order = next(
        order
        for order in orders
        if len(order) == rank and [a for a in order if a in filled] == filled
    )
    return x._replace(shape=tuple(shape), stored=tuple(stored), order=order)


def _reshape(graph: Graph, name: str, old: tuple[int, ...], new: tuple[int, ...]):
    if old == new:
        return name
    return graph.add("Reshape", name, np.array(new, np.int64), shape=new)
