"""A traced function as a graph: what depends on no input is computed here and now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from cxr_jax.export.graph import constants, contractions, elementwise, indexing
from cxr_jax.export.graph.nodes import Graph, Node
from cxr_jax.export.graph.values import (
    Operand,
    Unsupported,
    Value,
    plain,
    straight,
)
from tfds_builders.common.errors import InputError

RULES = elementwise.RULES | indexing.RULES | contractions.RULES
# Primitives that hold another program: it is written out in their place.
INSIDE = ("jaxpr", "call_jaxpr", "fun_jaxpr")
MOST_TURNS = 4  # of a loop that is written out: it goes over the films or channels


def convert(
    function: Callable[..., tuple[jax.Array, ...]],
    inputs: dict[str, tuple[int, ...]],
    outputs: tuple[str, ...],
) -> Graph:
    """The graph of `function`, which takes float32 arrays and returns a tuple.

    inputs: {name: shape}, in the order of the arguments. outputs: names, of which the
    last are left over where the function returns fewer.

    Raises:
      InputError: it computes something for which there is no rule.
    """
    shapes = [jax.ShapeDtypeStruct(shape, np.float32) for shape in inputs.values()]
    traced = jax.make_jaxpr(function)(*shapes)
    graph, values = Graph(), []
    for name, shape in inputs.items():
        graph.inputs[name] = (shape, np.dtype(np.float32))
        graph.shapes[name] = shape
        values.append(plain(name, shape, np.float32))
    found = _run(graph, traced.jaxpr, [np.asarray(c) for c in traced.consts], values)
    for name, value in zip(outputs, found, strict=False):
        last = straight(graph, value)
        graph.shapes[name] = tuple(value.shape)
        graph.outputs[name] = (tuple(value.shape), np.dtype(value.dtype))
        graph.nodes.append(Node("Identity", [last], name, {}))
    return graph


def _run(graph: Graph, jaxpr: Any, consts: list, values: list) -> list[Operand]:
    known: dict[Any, Operand] = {}
    known |= zip(jaxpr.constvars, consts, strict=True)
    known |= zip(jaxpr.invars, values, strict=True)

    def read(atom) -> Operand:
        if hasattr(atom, "val"):  # a literal
            return np.asarray(atom.val, atom.aval.dtype)
        return known[atom]

    for eqn in jaxpr.eqns:
        operands = [read(atom) for atom in eqn.invars]
        found = _apply(graph, eqn, operands)
        known |= zip(eqn.outvars, found, strict=True)
    return [read(atom) for atom in jaxpr.outvars]


def _apply(graph: Graph, eqn: Any, operands: list[Operand]) -> list[Operand]:
    name = eqn.primitive.name
    inner = next((eqn.params[key] for key in INSIDE if key in eqn.params), None)
    if inner is not None and not name.startswith(("reduce", "scatter")):
        if name == "scan" and eqn.params["length"] <= MOST_TURNS:
            return _unrolled(graph, eqn, inner, operands)
        if name in ("scan", "while", "cond", "pallas_call"):
            raise _no_rule(name, "a loop or a branch")
        consts = [np.asarray(c) for c in getattr(inner, "consts", ())]
        return _run(graph, getattr(inner, "jaxpr", inner), consts, operands)
    known = [x for x in operands if not isinstance(x, Value)]
    if len(known) == len(operands):
        return [*constants.compute(eqn, known)]
    if name not in RULES:
        raise _no_rule(name, "no ONNX operator is known for it")
    try:
        found = RULES[name](graph, eqn, *operands)
    except Unsupported as error:
        raise _no_rule(name, str(error)) from None
    many = found if isinstance(found, list) else [found]
    for each, var in zip(many, eqn.outvars, strict=True):
        assert tuple(each.shape) == var.aval.shape, (name, each, var.aval)
    return many


def _unrolled(graph: Graph, eqn: Any, inner: Any, operands: list) -> list[Operand]:
    """A scan over a few rows, turn by turn."""
    p = eqn.params
    body = getattr(inner, "jaxpr", inner)
    fixed, carried = _counts(eqn, body)
    carry = operands[fixed : fixed + carried]
    turns = []
    for i in range(p["length"]):
        place = p["length"] - 1 - i if p["reverse"] else i
        rows = [
            indexing.row(graph, each, place) for each in operands[fixed + carried :]
        ]
        consts = [np.asarray(c) for c in getattr(inner, "consts", ())]
        found = _run(graph, body, consts, [*operands[:fixed], *carry, *rows])
        carry, own = found[:carried], found[carried:]
        turns.append(own)
    turns = turns[::-1] if p["reverse"] else turns
    return [
        *carry,
        *(indexing.stacked(graph, each) for each in zip(*turns, strict=True)),
    ]


def _counts(eqn: Any, body: Any) -> tuple[int, int]:
    """How many operands of a scan are the same in every turn, and how many carried.

    What changes from turn to turn has an axis more outside than inside.
    """

    def alike(outside, inside) -> int:
        pairs = zip(outside, inside, strict=True)
        return sum(len(x.aval.shape) == len(y.aval.shape) for x, y in pairs)

    carried = alike(eqn.outvars, body.outvars)
    return alike(eqn.invars, body.invars) - carried, carried


def _no_rule(name: str, found: str) -> InputError:
    return InputError(
        "export",
        f"the model computes {name!r}: {found}",
        "leave out of the config what the shipped models and ops do not have, or add "
        "a rule to cxr_jax/export/graph",
    )
