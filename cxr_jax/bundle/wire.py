"""What an ONNX file may not hold, looked for in its protobuf wire format.

A model of a bundle is a list of operators with its constants inside. Refused are
constants that lie in another file, which a path could name anywhere on the disk;
operators of other domains, which could be anyone's code; and graphs within nodes, whose
loops need not end. Field numbers: onnx.proto of ONNX 1.20.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfds_builders.common.errors import InputError

DOMAINS = ("", "ai.onnx", "com.microsoft", "ai.onnx.ml")
_HINT = "use bundles of --mode=export only, from those you trust"
_MODEL = {"graph": 7, "opset": 8, "functions": 25}
_GRAPH = {"node": 1, "initializer": 5, "sparse": 15}
_NODE = {"attribute": 5, "domain": 7}
_ATTRIBUTE = {"tensor": 5, "graph": 6, "tensors": 10, "graphs": 11}
_TENSOR = {"external": 13, "location": 14}
_DOMAIN_OF_OPSET = 1
_BYTES, _VARINT, _FIXED64, _FIXED32 = 2, 0, 1, 5


def check(data: bytes, path: Any) -> None:
    """Raises InputError, which names `path`, for what is refused, or no protobuf."""
    try:
        fault = _fault_of_model(memoryview(data))
    except (IndexError, TypeError, ValueError) as error:
        fault = f"is not an ONNX model: {error}"
    if fault:
        raise InputError(path, fault, _HINT)


def _fault_of_model(data: memoryview) -> str:
    graphs = 0
    for field, value in _fields(data):
        if field == _MODEL["functions"]:
            return "holds functions"
        if field == _MODEL["opset"]:
            names = [bytes(v) for f, v in _fields(value) if f == _DOMAIN_OF_OPSET]
            unknown = [n for n in names if n.decode("latin-1") not in DOMAINS]
            if unknown:
                return f"needs operators of {unknown[0].decode('latin-1')!r}"
        if field == _MODEL["graph"]:
            graphs += 1
            fault = _fault_of_graph(value)
            if fault:
                return fault
    return "" if graphs == 1 else "is not an ONNX model: it has no graph"


def _fault_of_graph(data: memoryview) -> str:
    for field, value in _fields(data):
        fault = ""
        if field == _GRAPH["sparse"]:
            fault = "holds sparse constants"
        elif field == _GRAPH["initializer"]:
            fault = _fault_of_tensor(value)
        elif field == _GRAPH["node"]:
            fault = _fault_of_node(value)
        if fault:
            return fault
    return ""


def _fault_of_node(data: memoryview) -> str:
    for field, value in _fields(data):
        if field == _NODE["domain"] and bytes(value).decode("latin-1") not in DOMAINS:
            return f"has an operator of {bytes(value).decode('latin-1')!r}"
        if field != _NODE["attribute"]:
            continue
        for inner, part in _fields(value):
            if inner in (_ATTRIBUTE["graph"], _ATTRIBUTE["graphs"]):
                return "has a graph within a node"
            if inner in (_ATTRIBUTE["tensor"], _ATTRIBUTE["tensors"]):
                fault = _fault_of_tensor(part)
                if fault:
                    return fault
    return ""


def _fault_of_tensor(data: memoryview) -> str:
    for field, value in _fields(data):
        if field == _TENSOR["external"] or (field == _TENSOR["location"] and value):
            return "keeps constants in another file"
    return ""


def _fields(data: Any) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a message: bytes as a memoryview, numbers as int."""
    if not isinstance(data, memoryview):
        raise TypeError("a number where a message is expected")
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
        elif kind == _BYTES:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
            value, at = 0, at + length
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(data):
            raise ValueError("it ends too early")
        yield field, value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 10 bytes")
