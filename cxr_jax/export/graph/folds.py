"""Rules that merge a node with the one before it.

A rule gets a sweep and a node. It returns None where it does not apply, the name of an
array that the node's equals, the node itself once rewritten, or the node before, which
then does the work of both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxr_jax.export.graph.nodes import Node

if TYPE_CHECKING:
    from cxr_jax.export.graph.simplify import Sweep

SPATIAL = [2, 3]


def nothing_done(sweep: Sweep, node: Node) -> str | None:
    """A node that gives what it gets."""
    first = node.inputs[0] if node.inputs else ""
    if node.output in sweep.graph.outputs:
        return None
    if node.op == "Identity":
        return first
    if node.op in ("Reshape", "Expand", "Transpose"):
        perm = node.attributes.get("perm")
        alike = sweep.graph.shapes.get(first) == sweep.graph.shapes[node.output]
        return first if alike and perm in (None, sorted(perm or ())) else None
    if node.op.startswith("Reduce") and len(node.inputs) == 2:
        alike = sweep.graph.shapes.get(first) == sweep.graph.shapes[node.output]
        return first if alike else None
    if {"Add": 0, "Mul": 1, "Div": 1}.get(node.op, np.nan) == number(sweep, node):
        return first
    return None


def output_named(sweep: Sweep, node: Node) -> Node | None:
    """An output of the graph is given by what computes it."""
    before = sweep.maker.get(node.inputs[0]) if node.op == "Identity" else None
    if before is None or sweep.uses[before.output] != 1:
        return None
    return before


def twice_moved(sweep: Sweep, node: Node) -> Node | None:
    """Reshape of Reshape, Transpose of Transpose: one of them."""
    if node.op not in ("Reshape", "Transpose"):
        return None
    before = sweep.made(node.inputs[0], node.op)
    if before is None:
        return None
    if node.op == "Transpose":
        perm = before.attributes["perm"]
        node.attributes = {"perm": [perm[i] for i in node.attributes["perm"]]}
    node.inputs = [before.inputs[0], *node.inputs[1:]]
    return node


def padded(sweep: Sweep, node: Node) -> Node | None:
    """Zeros around the picture, as an attribute of the convolution or pool."""
    if node.op not in ("Conv", "MaxPool"):
        return None
    pad = sweep.made(node.inputs[0], "Pad")
    if pad is None:
        return None
    widths, fill = (sweep.graph.constants[name] for name in pad.inputs[1:3])
    if widths.min() < 0 or fill != 0 or widths[:2].any() or widths[4:6].any():
        return None
    if node.op == "MaxPool":
        # Its own pad is of -inf, which after a relu gives the same: no window is
        # wholly outside.
        window = node.attributes["kernel_shape"]
        inside = all(w < window[i % 2] for i, w in enumerate(widths[[2, 3, 6, 7]]))
        if sweep.made(pad.inputs[0], "Relu", "Clip") is None or not inside:
            return None
    extra = [int(w) for w in widths[[2, 3, 6, 7]]]
    sums = zip(node.attributes["pads"], extra, strict=True)
    node.attributes["pads"] = [a + b for a, b in sums]
    node.inputs = [pad.inputs[0], *node.inputs[1:]]
    return node


def scaled_or_shifted(sweep: Sweep, node: Node) -> Node | None:
    """A number for every channel, into the kernel or the bias before it."""
    if node.op not in ("Mul", "Div", "Add") or len(node.inputs) != 2:
        return None
    constant = sweep.graph.constants.get(node.inputs[1])
    before = sweep.only(node.inputs[0], "Conv", "Gemm")
    if constant is None or before is None or constant.dtype != np.float32:
        return None
    shape = sweep.graph.shapes[before.output]
    row = _by_channel(constant, shape)
    if row is None:
        return None
    kernel, bias = _weights(sweep, before)
    if kernel is None or bias is None:
        return None
    if node.op == "Add":
        bias = bias + row
    else:
        factor = row if node.op == "Mul" else 1 / row
        kernel = kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1))
        bias = bias * factor
    names = [sweep.graph.constant(each.astype(np.float32)) for each in (kernel, bias)]
    before.inputs = [before.inputs[0], *names]
    return before


def _weights(sweep: Sweep, node: Node):
    """Kernel with the outputs first, and bias; float64."""
    constants = sweep.graph.constants
    kernel = constants.get(node.inputs[1])
    if kernel is None:
        return None, None
    kernel = kernel.astype(np.float64)
    if len(node.inputs) == 2:
        return kernel, np.zeros(len(kernel))
    bias = constants.get(node.inputs[2])
    return (None, None) if bias is None else (kernel, bias.astype(np.float64))


def _by_channel(constant: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """[C] float64 of a constant that is one number for every channel, or one for all."""
    if constant.size == 1:
        return np.full(shape[1], constant.ravel()[0], np.float64)
    full = (1,) * (len(shape) - constant.ndim) + constant.shape
    if full != (1, shape[1], *(1,) * (len(shape) - 2)):
        return None
    return constant.ravel().astype(np.float64)


def as_norm(sweep: Sweep, node: Node) -> Node | None:
    """Mul and Add for every channel, where no convolution takes them: one node.

    ONNX Runtime has a fast form of BatchNormalization, and merges it with a relu.
    """
    if node.op != "Add" or len(node.inputs) != 2:
        return None
    constants, shapes = sweep.graph.constants, sweep.graph.shapes
    before = sweep.only(node.inputs[0], "Mul")
    if before is None or len(shapes[node.output]) != 4:
        return None
    shape = shapes[node.output]
    if shape[1] == 1 or shape != shapes[before.inputs[0]]:
        return None
    rows = []
    for each in (before, node):
        constant = constants.get(each.inputs[1])
        row = None if constant is None else _by_channel(constant, shape)
        if row is None:
            return None
        rows.append(row)
    arrays = [row.astype(np.float32) for row in rows]
    arrays += [np.zeros(shape[1], np.float32), np.ones(shape[1], np.float32)]
    node.op, node.attributes = "BatchNormalization", {"epsilon": 0.0}
    node.inputs = [before.inputs[0], *(sweep.graph.constant(a) for a in arrays)]
    return node


def as_mean(sweep: Sweep, node: Node) -> Node | None:
    """A sum divided by its count."""
    by = number(sweep, node)
    if node.op not in ("Div", "Mul") or not by:
        return None
    before = node.inputs[0]
    moved = sweep.only(before, "Reshape")
    total = sweep.only(moved.inputs[0] if moved else before, "ReduceSum")
    if total is None:
        return None
    axes = sweep.graph.constants[total.inputs[1]].tolist()
    shape = sweep.graph.shapes[total.inputs[0]]
    count = np.prod([shape[axis] for axis in axes])
    if not np.isclose(by, count if node.op == "Div" else 1 / count, rtol=1e-6):
        return None
    total.op = "ReduceMean"
    if axes == SPATIAL and len(shape) == 4:
        total.op, total.inputs, total.attributes = (
            "GlobalAveragePool",
            total.inputs[:1],
            {},
        )
    return moved or total


def numbers_joined(sweep: Sweep, node: Node) -> Node | None:
    """Two factors, one after the other: one."""
    outer = number(sweep, node)
    if node.op not in ("Mul", "Div") or not outer:
        return None
    before = sweep.only(node.inputs[0], "Mul", "Div")
    inner = before and number(sweep, before)
    if not before or not inner:
        return None
    factor = inner if before.op == "Mul" else 1 / inner
    factor = factor * outer if node.op == "Mul" else factor / outer
    node.op = "Mul"
    node.inputs = [before.inputs[0], sweep.graph.constant(np.float32(factor))]
    return node


def clipped(sweep: Sweep, node: Node) -> Node | None:
    """The least of a relu and a number."""
    most = number(sweep, node)
    before = sweep.only(node.inputs[0], "Relu") if node.op == "Min" else None
    if before is None or most is None:
        return None
    before.op = "Clip"
    limits = (np.float32(0), np.float32(most))
    before.inputs = [before.inputs[0], *map(sweep.graph.constant, limits)]
    return before


def dense(sweep: Sweep, node: Node) -> Node | None:
    """A matrix product of rows, with its bias and scale to come."""
    if node.op != "MatMul" or len(sweep.graph.shapes.get(node.inputs[0], ())) != 2:
        return None
    kernel = sweep.graph.constants.get(node.inputs[1])
    if kernel is None or kernel.ndim != 2:
        return None
    node.op, node.attributes = "Gemm", {"transB": 1}
    node.inputs = [node.inputs[0], sweep.graph.constant(kernel.T)]
    return node


def product_scaled(sweep: Sweep, node: Node) -> Node | None:
    """A number for every output of a matrix product, into its matrix and bias."""
    constants = sweep.graph.constants
    constant = constants.get(node.inputs[1]) if len(node.inputs) == 2 else None
    if node.op != "Mul" or constant is None or constant.dtype != np.float32:
        return None
    bias = sweep.only(node.inputs[0], "Add")
    product = sweep.only(bias.inputs[0] if bias else node.inputs[0], "MatMul")
    kernel = constants.get(product.inputs[1]) if product else None
    shift = constants.get(bias.inputs[1]) if bias else np.float32(0)
    if product is None or kernel is None or shift is None or kernel.ndim != 2:
        return None
    if constant.size != 1 and constant.shape[-1] != constant.size:
        return None
    row = constant.reshape(-1)
    product.inputs[1] = sweep.graph.constant(kernel * row)
    if bias:
        bias.inputs[1] = sweep.graph.constant(shift * row)
    return bias or product


def number(sweep: Sweep, node: Node) -> float | None:
    """The second operand, if it is one number."""
    if len(node.inputs) != 2:
        return None
    constant = sweep.graph.constants.get(node.inputs[1])
    if constant is None or constant.size != 1 or constant.dtype != np.float32:
        return None
    wide = len(constant.shape) > len(sweep.graph.shapes[node.output])
    return None if wide else float(constant.ravel()[0])


RULES = (
    nothing_done,
    output_named,
    twice_moved,
    padded,
    scaled_or_shifted,
    as_norm,
    as_mean,
    numbers_joined,
    clipped,
    dense,
    product_scaled,
)
