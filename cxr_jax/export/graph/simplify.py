"""Fewer nodes that compute the same: norms folded, pads merged, chains recognised.

Rules look at one node and at those before it, in order. A node that was read by one
other only may take over what that one does, and its name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from cxr_jax.export.graph import chains, folds
from cxr_jax.export.graph.nodes import Graph, Node

MOST_SWEEPS = 20
_SUMS = ("ReduceSum", "ReduceMean")
_MANY = 1024  # numbers


@dataclass
class Sweep:
    """What a rule may look at.

    Attributes:
      graph: whose nodes are gone through.
      maker: {array: the node that gives it}, of the nodes before.
      uses: how often an array is read.
    """

    graph: Graph
    maker: dict[str, Node]
    uses: Counter[str]

    def only(self, name: str, *ops: str) -> Node | None:
        """The node that gives `name`, if it is one of `ops` and nothing else reads it."""
        node = self.maker.get(name)
        if node is None or node.op not in ops or self.uses[name] != 1:
            return None
        return node

    def made(self, name: str, *ops: str) -> Node | None:
        """The node that gives `name`, if it is one of `ops`."""
        node = self.maker.get(name)
        return node if node is not None and node.op in ops else None


def simplify(graph: Graph) -> None:
    """In place, until no rule applies any more."""
    rules = (*folds.RULES, *chains.RULES)
    for _ in range(MOST_SWEEPS):
        changed = _sweep(graph, rules)
        _drop_unused(graph)
        if not changed:
            break
    _add_by_axis(graph)


def _add_by_axis(graph: Graph) -> None:
    """Splits sums and means of whole pictures: along one side, then the other.

    ONNX Runtime adds float32 one after another, so that the error grows with their
    number: the spread of a bright film of 96 x 96 pixels had an error of 3e-5.
    """
    nodes = []
    for node in graph.nodes:
        axes = graph.constants.get(node.inputs[-1]) if node.op in _SUMS else None
        shape = graph.shapes.get(node.inputs[0], ()) if node.inputs else ()
        if axes is not None and shape and np.prod([shape[i] for i in axes]) >= _MANY:
            longest = max(axes.tolist(), key=lambda axis: (shape[axis], axis))
            rest = np.setdiff1d(axes, longest)
            if len(rest):
                first = _reduced(graph, node, longest)
                nodes.append(first)
                node.inputs = [first.output, graph.constant(rest)]
        nodes.append(node)
    graph.nodes = nodes
    _drop_unused(graph)


def _reduced(graph: Graph, node: Node, axis: int) -> Node:
    """The same operator along one axis."""
    shape = graph.shapes[node.inputs[0]]
    name = f"{node.output}_first"
    graph.shapes[name] = tuple(1 if i == axis else n for i, n in enumerate(shape))
    inputs = [node.inputs[0], graph.constant(np.array([axis], np.int64))]
    return Node(node.op, inputs, name, dict(node.attributes))


def _sweep(graph: Graph, rules) -> bool:
    sweep = Sweep(graph, {}, graph.uses())
    same: dict[str, str] = {}  # {array: the one that it equals}
    nodes, changed = [], False
    for node in graph.nodes:
        node.inputs = [same.get(name, name) for name in node.inputs]
        for rule in rules:
            before = Counter(node.inputs)
            found = rule(sweep, node)
            if found is None:
                continue
            changed = True
            if found is node:
                sweep.uses += Counter(node.inputs)
                sweep.uses -= before
            if isinstance(found, str):  # the array is another one
                same[node.output] = found
                sweep.uses[found] += sweep.uses[node.output] - 1
                node = None
            elif found is not node:  # `found` took it over, name and all
                node.inputs = []
                sweep.maker[node.output] = found
                graph.shapes[found.output] = graph.shapes[node.output]
                found.output = node.output
                node = None
            break
        if node is not None:
            sweep.maker[node.output] = node
            nodes.append(node)
    graph.nodes = nodes
    return changed


def _drop_unused(graph: Graph) -> None:
    needed, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if node.output in needed:
            kept.append(node)
            needed |= set(node.inputs)
    graph.nodes = kept[::-1]
    graph.constants = {k: v for k, v in graph.constants.items() if k in needed}
