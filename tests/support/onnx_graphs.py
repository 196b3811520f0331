"""Converts a function, computes it with ONNX Runtime, and compares with JAX."""

import jax
import numpy as np

from cxr_jax.export.graph import onnx_file
from cxr_jax.export.graph.convert import convert
from cxr_jax.export.graph.simplify import simplify
from cxr_jax.models.convolution import plain


def both(function, *images, simple=True):
    """-> (graph, what ONNX Runtime makes of the images, what JAX makes of them)."""
    import onnxruntime

    inputs = {f"x{i}": image.shape for i, image in enumerate(images)}

    def traced(*arrays):
        with plain():
            found = function(*arrays)
        return found if isinstance(found, tuple) else (found,)

    graph = convert(traced, inputs, tuple("abcdefgh"))
    if simple:
        simplify(graph)
    made = onnx_file.to_onnx(graph, "test").SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(made, options)
    used = {each.name for each in session.get_inputs()}
    fed = {k: v for k, v in zip(inputs, images, strict=True) if k in used}
    return graph, session.run(None, fed), jax.device_get(jax.jit(traced)(*images))


def assert_same(function, *images, rtol=1e-5, atol=1e-5):
    """With and without simplification; returns the simplified graph."""
    for simple in (False, True):
        graph, found, wanted = both(function, *images, simple=simple)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert one.shape == np.shape(other)
            np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)
    return graph
