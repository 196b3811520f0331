"""A graph of ONNX operators while it is made: nodes in order, constants by name."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Node:
    """One operator: names of what it takes and of the one array that it gives."""

    op: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]


@dataclass
class Graph:
    """Nodes in an order in which they can be computed.

    Attributes:
      nodes: of ONNX's operator set `onnx_file.OPSET`.
      constants: {name: array}.
      shapes: {name: shape} of every array that is computed, and of the inputs.
      inputs: {name: (shape, dtype)}.
      outputs: {name: (shape, dtype)}, which is also the order of them.
    """

    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: dict[str, tuple[tuple[int, ...], Any]] = field(default_factory=dict)
    outputs: dict[str, tuple[tuple[int, ...], Any]] = field(default_factory=dict)
    _known: dict[tuple, str] = field(default_factory=dict)
    _made: int = 0

    def constant(self, array: Any) -> str:
        """The name of a constant; the same for the same values."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        key = (array.dtype.str, array.shape, digest)
        if key not in self._known:
            self._known[key] = f"constant_{len(self._known)}"
        # Again, where it was dropped in the meantime.
        self.constants[self._known[key]] = array
        return self._known[key]

    def add(
        self, op: str, *inputs: str | np.ndarray, shape: tuple[int, ...], **attributes
    ) -> str:
        """Appends a node, and returns the name of what it gives, of `shape`."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        key = (op, *names, repr(sorted(attributes.items())))
        if key in self._known:  # computed already
            return self._known[key]
        self._made += 1
        name = self._known[key] = f"{op.lower()}_{self._made}"
        self.nodes.append(Node(op, names, name, attributes))
        self.shapes[name] = tuple(int(n) for n in shape)
        return name

    def uses(self) -> Counter[str]:
        """How often every array is taken, by nodes and as an output of the graph."""
        found = Counter(name for node in self.nodes for name in node.inputs)
        return found + Counter(self.outputs.keys())

    def count(self) -> Counter[str]:
        """How many nodes there are of each operator."""
        return Counter(node.op for node in self.nodes)
