"""A graph as an ONNX model."""

from __future__ import annotations

from typing import Any

import numpy as np

from cxr_jax.export.graph.nodes import Graph, Node

OPSET = 20  # the first with Gelu
IR_VERSION = 9


def to_onnx(graph: Graph, name: str, notes: dict[str, str] | None = None) -> Any:
    """The ModelProto, checked; notes: its metadata."""
    import onnx
    from onnx import helper, numpy_helper

    def described(arrays):
        return [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(dtype), shape
            )
            for name, (shape, dtype) in arrays.items()
        ]

    made = helper.make_graph(
        [_node(node) for node in graph.nodes],
        name,
        described(graph.inputs),
        described(graph.outputs),
        [numpy_helper.from_array(a, name) for name, a in graph.constants.items()],
    )
    model = helper.make_model(
        made,
        producer_name="cxr_jax",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, notes or {})
    onnx.checker.check_model(model, full_check=True)
    return model


def _node(node: Node) -> Any:
    from onnx import helper

    attributes = {
        key: helper.np_dtype_to_tensor_dtype(value)
        if isinstance(value, np.dtype)
        else value
        for key, value in node.attributes.items()
    }
    return helper.make_node(
        node.op, node.inputs, [node.output], node.output, **attributes
    )
