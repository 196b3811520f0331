"""Smaller models of the same network: float16 weights, and int8."""

from __future__ import annotations

import copy
import logging
import pathlib
import tempfile
from typing import Any

import numpy as np

from cxr_jax.bundle.network import INPUT
from cxr_jax.export.graph.nodes import Graph, Node

LEAST = 256  # numbers of a constant that is worth halving
# What stays in integers between convolutions.
QUANTISED = (
    *("Conv", "Gemm", "MatMul", "Relu", "Clip", "Add", "Concat"),
    *("MaxPool", "AveragePool", "GlobalAveragePool"),
)


def float16(graph: Graph) -> Graph:
    """The same with constants stored as float16, and computed in float32.

    Half the download at the speed of float32: a CPU has no fast float16, and ONNX
    Runtime widens the constants once, when it reads the model.
    """
    found = copy.deepcopy(graph)
    casts = []
    for name, array in graph.constants.items():
        limit = np.finfo(np.float16).max
        is_large = array.dtype == np.float32 and array.size >= LEAST
        if is_large and np.abs(array).max() < limit:
            stored = f"{name}_float16"
            del found.constants[name]
            found.constants[stored] = array.astype(np.float16)
            to = {"to": np.dtype(np.float32)}
            casts.append(Node("Cast", [stored], name, to))
    found.nodes[:0] = casts
    return found


def int8(model: Any, images: np.ndarray) -> Any:
    """`model` with 8-bit weights and activations, calibrated on images [n, S, S, 1].

    Weights of each channel have a scale of their own, and 7 bits: processors without
    VNNI add two products in 16 bits, which 8 would overflow.
    """
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self._rows = iter(images)

        def get_next(self):
            row = next(self._rows, None)
            return None if row is None else {INPUT: row[None]}

    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)  # its advice is for its developers
    try:
        with tempfile.TemporaryDirectory() as folder:
            original, path = (
                pathlib.Path(folder) / name for name in ("a.onnx", "b.onnx")
            )
            onnx.save(model, str(original))
            quantization.quantize_static(
                str(original),
                str(path),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED),
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
            found = onnx.load(str(path))
    finally:
        logger.setLevel(before)
    del found.graph.value_info[:]
    return found
