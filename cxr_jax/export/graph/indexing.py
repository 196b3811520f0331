"""Primitives that move entries: shapes, slices, pads, gathers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cxr_jax.export.graph.elementwise import apply
from cxr_jax.export.graph.nodes import Graph
from cxr_jax.export.graph.values import (
    Operand,
    Unsupported,
    Value,
    broadcast,
    ordered,
    plain,
    reshaped,
    straight,
    transposed,
    whole,
)


def _reshape(graph: Graph, eqn, x: Value) -> Value:
    return reshaped(graph, x, eqn.outvars[0].aval.shape)


def _transpose(graph: Graph, eqn, x: Value) -> Value:
    return transposed(x, eqn.params["permutation"])


def _broadcast(graph: Graph, eqn, x: Value) -> Value:
    axes = [int(axis) for axis in eqn.params["broadcast_dimensions"]]
    return broadcast(graph, x, eqn.outvars[0].aval.shape, axes)


def _concatenate(graph: Graph, eqn, *operands: Operand) -> Value:
    axis = eqn.params["dimension"]
    order = tuple(range(len(operands[0].shape)))
    if len(order) == 4:  # maps stay as convolutions leave them
        order = next(x.order for x in operands if isinstance(x, Value))
    names = [ordered(graph, whole(graph, x), order) for x in operands]
    shape = eqn.outvars[0].aval.shape
    found = Value("", shape, shape, order, operands[0].dtype)
    place = order.index(axis)
    return found._replace(
        name=graph.add("Concat", *names, shape=found.laid, axis=place)
    )


def _slice(graph: Graph, eqn, x: Value) -> Value:
    p = eqn.params
    steps = p["strides"] or (1,) * len(x.shape)
    return _part(graph, x, p["start_indices"], p["limit_indices"], steps)


def _part(graph: Graph, x: Value, starts, ends, steps) -> Value:
    shape = tuple(
        -(-(end - start) // step)
        for start, end, step in zip(starts, ends, steps, strict=True)
    )
    # An axis that is stored once is cut by its new length alone.
    stored = tuple(
        1 if n == 1 < full else new
        for n, full, new in zip(x.stored, x.shape, shape, strict=True)
    )
    places = [
        i for i, axis in enumerate(x.order) if stored[axis] != x.stored[axis]
    ] or [i for i, axis in enumerate(x.order) if steps[axis] != 1]
    found = x._replace(shape=shape, stored=stored)
    if not places:
        return found
    axes = [x.order[i] for i in places]
    arguments = [
        np.array([int(values[axis]) for axis in axes], np.int64)
        for values in (starts, ends)
    ]
    arguments += [
        np.array(places, np.int64),
        np.array([steps[axis] for axis in axes], np.int64),
    ]
    name = graph.add("Slice", x.name, *arguments, shape=found.laid)
    return found._replace(name=name)


def row(graph: Graph, x: Operand, place: int) -> Operand:
    """One entry of the first axis, without it."""
    if not isinstance(x, Value):
        return x[place]
    starts = [place, *[0] * (len(x.shape) - 1)]
    ends = [place + 1, *x.shape[1:]]
    part = _part(graph, x, starts, ends, (1,) * len(x.shape))
    return reshaped(graph, part, x.shape[1:])


def stacked(graph: Graph, rows: Sequence[Operand]) -> Operand:
    """Rows side by side along a new first axis."""
    wide = [_as(graph, each, (1, *each.shape)) for each in rows]
    if len(wide) == 1:
        return wide[0]
    if not any(isinstance(each, Value) for each in wide):
        return np.concatenate(wide)
    shape = (len(wide), *wide[0].shape[1:])
    names = [straight(graph, each) for each in wide]
    name = graph.add("Concat", *names, shape=shape, axis=0)
    return plain(name, shape, wide[0].dtype)


def _unstack(graph: Graph, eqn, x: Value) -> list[Value]:
    axis, found = eqn.params["axis"], []
    for i in range(x.shape[axis]):
        starts = [i if a == axis else 0 for a in range(len(x.shape))]
        ends = [i + 1 if a == axis else n for a, n in enumerate(x.shape)]
        row = _part(graph, x, starts, ends, (1,) * len(x.shape))
        shape = [n for a, n in enumerate(x.shape) if a != axis]
        found.append(reshaped(graph, row, shape))
    return found


def _pad(graph: Graph, eqn, x: Operand, fill: np.ndarray) -> Value:
    pads = eqn.params["padding_config"]
    if any(between for _, _, between in pads) or isinstance(fill, Value):
        raise Unsupported("a pad between the entries")
    x = whole(graph, _computed(graph, x))
    shape = eqn.outvars[0].aval.shape
    found = x._replace(shape=shape, stored=shape)
    sides = [pads[axis] for axis in x.order]
    widths = [low for low, _, _ in sides] + [high for _, high, _ in sides]
    if not any(widths):
        return x
    arguments = np.array(widths, np.int64), np.asarray(fill, x.dtype)
    return found._replace(
        name=graph.add("Pad", x.name, *arguments, shape=found.laid, mode="constant")
    )


def _computed(graph: Graph, x: Operand) -> Value:
    """A constant as a value, which can be moved."""
    if isinstance(x, Value):
        return x
    return plain(graph.constant(x), x.shape, x.dtype)


def _reverse(graph: Graph, eqn, x: Value) -> Value:
    flipped = eqn.params["dimensions"]
    places = [i for i, axis in enumerate(x.order) if axis in flipped]
    count = len(places)
    arguments = (
        np.full(count, -1, np.int64),
        np.full(count, np.iinfo(np.int64).min, np.int64),
        np.array(places, np.int64),
        np.full(count, -1, np.int64),
    )
    x = whole(graph, x)
    return x._replace(name=graph.add("Slice", x.name, *arguments, shape=x.laid))


def _gather(graph: Graph, eqn, x: Operand, indices: Operand) -> Value:
    """Entries taken along one axis, by ONNX's Gather."""
    p = eqn.params
    numbers = p["dimension_numbers"]
    alone = [int(axis) for axis in numbers.operand_batching_dims]
    if any(x.shape[a] != 1 for a in alone):
        raise Unsupported("a gather from several films at once")
    if len(numbers.start_index_map) != 1:
        return _gather_points(graph, eqn, x, indices, alone)
    axis = int(numbers.start_index_map[0])
    sizes = [int(n) for n in p["slice_sizes"]]
    expected = [1 if a == axis or a in alone else n for a, n in enumerate(x.shape)]
    if sizes != expected:
        raise Unsupported("a gather of parts")
    indices = _within(graph, indices, x.shape[axis], p["mode"])
    shape = eqn.outvars[0].aval.shape
    picked = indices.shape[:-1]
    # Data as [before, axis, after], with all indices in one row.
    before = [n for a, n in enumerate(x.shape) if a < axis and a not in alone]
    after = [n for a, n in enumerate(x.shape) if a > axis and a not in alone]
    kept = [*before, x.shape[axis], *after]
    data = whole(graph, _computed(graph, _as(graph, x, kept)))
    row = _as(graph, indices, picked)
    place = data.order.index(len(before))
    if len([n for n in picked if n != 1]) > 1 or data.order != tuple(range(len(kept))):
        row = _as(graph, row, [int(np.prod(picked))])
    name, length = straight(graph, row), row.shape
    laid = [*data.laid[:place], *length, *data.laid[place + 1 :]]
    found = graph.add("Gather", data.name, name, shape=tuple(laid), axis=place)
    logical = [*before, *length, *after]
    order = data.order if len(length) == 1 else tuple(range(len(logical)))
    found = Value(found, tuple(logical), tuple(logical), order, data.dtype)
    return _arranged(graph, found, before, picked, after, numbers, shape)


def _gather_points(graph: Graph, eqn, x: Operand, indices: Operand, alone) -> Value:
    """Single entries by an index of every axis, by ONNX's GatherND."""
    p = eqn.params
    numbers = p["dimension_numbers"]
    rest = [axis for axis in range(len(x.shape)) if axis not in alone]
    axes = [int(axis) for axis in numbers.start_index_map]
    if sorted(axes) != rest or numbers.offset_dims or set(p["slice_sizes"]) != {1}:
        raise Unsupported("a gather of parts along several axes")
    if "PROMISE" not in str(p["mode"]).upper() and isinstance(indices, Value):
        raise Unsupported("a gather that fills in what does not exist")
    columns = [_wide(graph, _column(graph, indices, axes.index(axis))) for axis in rest]
    count = int(np.prod(indices.shape[:-1]))
    names = [straight(graph, _as(graph, each, (count, 1))) for each in columns]
    places = graph.add("Concat", *names, shape=(count, len(rest)), axis=1)
    data = straight(graph, _as(graph, x, [x.shape[axis] for axis in rest]))
    name = graph.add("GatherND", data, places, shape=(count,))
    found = plain(name, (count,), x.dtype)
    return reshaped(graph, found, eqn.outvars[0].aval.shape)


def _column(graph: Graph, indices: Operand, place: int) -> Operand:
    if not isinstance(indices, Value):
        return indices[..., place]
    starts = [*[0] * (len(indices.shape) - 1), place]
    ends = [*indices.shape[:-1], place + 1]
    return _part(graph, indices, starts, ends, (1,) * len(starts))


def _arranged(graph: Graph, found: Value, before, picked, after, numbers, shape):
    """[before, picked, after] with the axes where JAX wants them."""
    found = reshaped(graph, found, (*before, *picked, *after))
    count = len(before)
    offsets = [int(a) for a in numbers.offset_dims]
    collapsed = {*map(int, numbers.collapsed_slice_dims)}
    taken = [axis for axis in range(len(shape)) if axis not in offsets]
    rest = list(offsets)
    if not collapsed and len(offsets) == len(before) + len(after) + 1:
        rest.pop(count)  # the axis gathered along is kept, with 1 entry
    places = [*rest[:count], *taken, *rest[count:]]
    order = sorted(range(len(places)), key=lambda i: places[i])
    return reshaped(graph, transposed(found, order), shape)


def _as(graph: Graph, x: Operand, shape) -> Operand:
    if not isinstance(x, Value):
        return x.reshape(shape)
    return reshaped(graph, x, tuple(shape))


def _within(graph: Graph, indices: Operand, length: int, mode: Any) -> Operand:
    """Indices that are inside, as ONNX needs them."""
    if not isinstance(indices, Value):
        if indices.min() < 0 or indices.max() >= length:
            raise Unsupported("a gather of entries that do not exist")
        return indices
    if "CLIP" in str(mode).upper():
        low = apply(graph, "Max", indices, np.zeros((), indices.dtype))
        return apply(graph, "Min", low, np.array(length - 1, indices.dtype))
    if "PROMISE" not in str(mode).upper():
        raise Unsupported("a gather that fills in what does not exist")
    return indices


def _scatter_add(graph: Graph, eqn, x: Operand, indices: Operand, updates: Operand):
    """Histograms of rows: ONNX's ScatterElements into all rows as one.

    Not ScatterND, whose additions ONNX Runtime (1.32) makes in several threads at once:
    some are lost, and the same film is equalised otherwise from call to call.
    """
    numbers = eqn.params["dimension_numbers"]
    length, rows = x.shape[-1], int(np.prod(x.shape[:-1]))
    batched = len(numbers.operand_batching_dims)
    if numbers.update_window_dims or (rows > 1 and batched != len(x.shape) - 1):
        raise Unsupported("a scatter but into rows")
    count = int(np.prod(updates.shape))
    places = _as(graph, _wide(graph, indices), (rows, count // rows))
    starts = np.arange(rows, dtype=np.int64)[:, None] * length
    if isinstance(places, Value):
        places = apply(graph, "Add", places, starts)
    else:
        places = places + starts
    name = graph.add(
        "ScatterElements",
        straight(graph, _as(graph, x, (rows * length,))),
        straight(graph, _as(graph, places, (count,))),
        straight(graph, _as(graph, updates, (count,))),
        shape=(rows * length,),
        axis=0,
        reduction="add",
    )
    found = plain(name, (rows * length,), x.dtype)
    return reshaped(graph, found, eqn.outvars[0].aval.shape)


def _wide(graph: Graph, indices: Operand) -> Operand:
    if not isinstance(indices, Value):
        return indices.astype(np.int64)
    return apply(graph, "Cast", indices, dtype=np.int64, to=np.dtype(np.int64))


def _cumsum(graph: Graph, eqn, x: Value) -> Value:
    place = np.array(x.order.index(eqn.params["axis"]), np.int64)
    x = whole(graph, x)
    reverse = int(eqn.params["reverse"])
    return x._replace(
        name=graph.add("CumSum", x.name, place, shape=x.laid, reverse=reverse)
    )


RULES = {
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "slice": _slice,
    "unstack": _unstack,
    "pad": _pad,
    "rev": _reverse,
    "gather": _gather,
    "scatter-add": _scatter_add,
    "cumsum": _cumsum,
}
