"""Rules that recognise what ONNX has one operator for: softmax, layer norm, gelu."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cxr_jax.export.graph.folds import number
from cxr_jax.export.graph.nodes import Node

if TYPE_CHECKING:
    from cxr_jax.export.graph.simplify import Sweep

BETWEEN = ("Sqrt", "Reciprocal", "Add", "Mul", "Div", "Neg", "Exp")


def reshaped_later(sweep: Sweep, node: Node) -> Node | None:
    """What works entry by entry comes before a Reshape, so that chains are unbroken."""
    if node.op not in BETWEEN or (
        len(node.inputs) == 2 and number(sweep, node) is None
    ):
        return None
    before = sweep.only(node.inputs[0], "Reshape")
    if before is None or node.output in sweep.graph.outputs:
        return None
    shape = sweep.graph.shapes.get(before.inputs[0])
    constant = sweep.graph.constants.get(node.inputs[-1])
    if shape is None or (constant is not None and constant.ndim > len(shape)):
        return None
    new = before.inputs[1]
    before.op, node.op = node.op, "Reshape"
    before.attributes, node.attributes = node.attributes, {}
    before.inputs = [before.inputs[0], *node.inputs[1:]]
    sweep.graph.shapes[before.output] = shape
    node.inputs = [before.output, new]
    return node


def softmax(sweep: Sweep, node: Node) -> Node | None:
    """exp(x - max(x)) over its sum."""
    if node.op != "Div":
        return None
    top, total = (
        sweep.made(node.inputs[0], "Exp"),
        sweep.made(node.inputs[1], "ReduceSum"),
    )
    if top is None or total is None or total.inputs[0] != top.output:
        return None
    less = sweep.made(top.inputs[0], "Sub")
    most = less and sweep.made(less.inputs[1], "ReduceMax")
    if not less or not most or most.inputs[0] != less.inputs[0]:
        return None
    axes = [sweep.graph.constants[each.inputs[1]].tolist() for each in (total, most)]
    if axes[0] != axes[1] or len(axes[0]) != 1:
        return None
    node.op, node.inputs = "Softmax", [less.inputs[0]]
    node.attributes = {"axis": axes[0][0]}
    return node


def gelu(sweep: Sweep, node: Node) -> Node | None:
    """x / 2 * (1 - erf(-x / sqrt 2))."""
    if node.op != "Mul" or len(node.inputs) != 2:
        return None
    for half, rest in (node.inputs, node.inputs[::-1]):
        scaled, tail = sweep.made(half, "Mul"), sweep.made(rest, "Sub")
        erf = tail and sweep.made(tail.inputs[1], "Erf")
        inner = erf and sweep.made(erf.inputs[0], "Mul")
        if not scaled or not tail or not inner or number(sweep, scaled) != 0.5:
            continue
        x, factor = inner.inputs[0], number(sweep, inner)
        negated = sweep.made(x, "Neg")
        if negated is not None:
            x, factor = negated.inputs[0], -(factor or 0)
        one = sweep.graph.constants.get(tail.inputs[0])
        is_one = one is not None and (one == 1).all()
        close = math.isclose(factor or 0, -math.sqrt(0.5), rel_tol=1e-6)
        if is_one and close and x == scaled.inputs[0]:
            node.op, node.inputs, node.attributes = "Gelu", [x], {}
            return node
    return None


def layer_norm(sweep: Sweep, node: Node) -> Node | None:
    """(x - mean) * (scale / sqrt(var + epsilon)) over the last axis."""
    if node.op != "Mul" or len(node.inputs) != 2:
        return None
    constants, shapes = sweep.graph.constants, sweep.graph.shapes
    for left, factor in (node.inputs, node.inputs[::-1]):
        centred = sweep.made(left, "Sub")
        scaled = sweep.made(factor, "Mul")
        scale = constants.get(scaled.inputs[1]) if scaled else np.ones(1, np.float32)
        over = sweep.made(scaled.inputs[0] if scaled else factor, "Reciprocal")
        root = over and sweep.made(over.inputs[0], "Sqrt")
        added = root and sweep.made(root.inputs[0], "Add")
        epsilon = number(sweep, added) if added else None
        spread = added and sweep.made(added.inputs[0], "ReduceMean")
        if not centred or not spread or scale is None or epsilon is None:
            continue
        squares = sweep.made(spread.inputs[0], "Mul")
        mean = sweep.made(centred.inputs[1], "ReduceMean")
        x = centred.inputs[0]
        if not squares or squares.inputs != [left, left] or not mean:
            continue
        shape, last = shapes[x], [len(shapes[x]) - 1]
        axes = [constants[each.inputs[1]].tolist() for each in (mean, spread)]
        if mean.inputs[0] != x or axes != [last, last]:
            continue
        if scale.size not in (1, scale.shape[-1]) or shapes[node.output] != shape:
            continue
        row = np.broadcast_to(scale.reshape(-1), shape[-1:]).astype(np.float32)
        node.op = "LayerNormalization"
        node.inputs = [x, sweep.graph.constant(row)]
        node.attributes = {"axis": -1, "epsilon": epsilon}
        return node
    return None


def layer_norm_shifted(sweep: Sweep, node: Node) -> Node | None:
    """The bias after a layer norm."""
    before = sweep.only(node.inputs[0], "LayerNormalization") if node.inputs else None
    if node.op != "Add" or before is None or len(before.inputs) != 2:
        return None
    bias = sweep.graph.constants.get(node.inputs[1])
    length = sweep.graph.shapes[node.output][-1]
    if bias is None or bias.size not in (1, bias.shape[-1] if bias.ndim else 1):
        return None
    row = np.broadcast_to(bias.reshape(-1), (length,)).astype(np.float32)
    before.inputs.append(sweep.graph.constant(row))
    return before


RULES = (reshaped_later, softmax, gelu, layer_norm, layer_norm_shifted)
