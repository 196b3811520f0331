"""A network small enough to be computed by hand, as ONNX, and in numpy.

The protobuf is written here: no package that reads or writes ONNX is needed.
Source: onnx.proto3 (ONNX 1.16), opset 13.
"""

import struct

import numpy as np

GRID = 8  # sides of the map of means
_FLOAT, _INT64 = 1, 7


def toy_onnx(side: int, groups: int, classes: int, seed: int = 0) -> bytes:
    """image [1, side, side, 1] -> probs [1, G, K], features [1, 64], heatmap [1, 8, 8]."""
    weights = weights_of(groups, classes, seed)
    nodes = [
        _node("Reshape", ["image", "planes"], ["plane"]),
        _node(
            "AveragePool",
            ["plane"],
            ["means"],
            _ints("kernel_shape", [side // GRID] * 2),
            _ints("strides", [side // GRID] * 2),
        ),
        _node("Reshape", ["means", "flat"], ["features"]),
        _node("MatMul", ["features", "weights"], ["logits"]),
        _node("Reshape", ["logits", "by_question"], ["asked"]),
        _node("Softmax", ["asked"], ["probs"], _int("axis", -1)),
        _node("Reshape", ["means", "map"], ["heatmap"]),
    ]
    constants = [
        _constant("planes", np.array([1, 1, side, side], np.int64)),
        _constant("flat", np.array([1, GRID * GRID], np.int64)),
        _constant("by_question", np.array([1, groups, classes], np.int64)),
        _constant("map", np.array([1, GRID, GRID], np.int64)),
        _constant("weights", weights),
    ]
    outputs = {
        "probs": [1, groups, classes],
        "features": [1, GRID * GRID],
        "heatmap": [1, GRID, GRID],
    }
    graph = b"".join(_field(1, node) for node in nodes)
    graph += _field(2, b"toy") + b"".join(_field(5, each) for each in constants)
    graph += _field(11, _value("image", [1, side, side, 1]))
    graph += b"".join(_field(12, _value(*each)) for each in outputs.items())
    return _number(1, 8) + _field(7, graph) + _field(8, _number(2, 13))


def weights_of(groups: int, classes: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.9, (GRID * GRID, groups * classes)).astype(np.float32)


def outputs(image: np.ndarray, groups: int, classes: int, seed: int = 0):
    """(probs [G, K], features [64]) of an image [side, side] in 0..1, in numpy."""
    side = len(image) // GRID
    means = image.astype(np.float64).reshape(GRID, side, GRID, side).mean((1, 3))
    logits = means.ravel() @ weights_of(groups, classes, seed).astype(np.float64)
    logits = logits.reshape(groups, classes)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True), means.ravel()


def _node(kind, inputs, names, *attributes) -> bytes:
    return (
        b"".join(_field(1, name.encode()) for name in inputs)
        + b"".join(_field(2, name.encode()) for name in names)
        + _field(4, kind.encode())
        + b"".join(_field(5, each) for each in attributes)
    )


def _int(name: str, value: int) -> bytes:
    return _field(1, name.encode()) + _number(3, value) + _number(20, 2)


def _ints(name: str, values: list[int]) -> bytes:
    found = b"".join(_number(8, value) for value in values)
    return _field(1, name.encode()) + found + _number(20, 7)


def _constant(name: str, array: np.ndarray) -> bytes:
    kind = _FLOAT if array.dtype == np.float32 else _INT64
    dims = b"".join(_number(1, size) for size in array.shape)
    return (
        dims + _number(2, kind) + _field(8, name.encode()) + _field(9, array.tobytes())
    )


def _value(name: str, shape: list[int]) -> bytes:
    dims = b"".join(_field(1, _number(1, size)) for size in shape)
    tensor = _number(1, _FLOAT) + _field(2, dims)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += struct.pack("B", value & 127 | 128)
        value >>= 7
    return out + struct.pack("B", value)
