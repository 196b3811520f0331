"""A program of XLA:CPU that calls oneDNN cannot be serialised.

    python -m benchmarks.upstream.onednn_serialisation

With the two options of `convolution_gradients.ONEDNN` a convolution is computed by the
oneDNN within jaxlib. What is compiled so cannot be written to JAX's compilation cache
(a warning, with the error that is printed here), so every start compiles again.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.serialize_executable import serialize

from benchmarks import machine
from benchmarks.upstream.convolution_gradients import ONE, ONEDNN
from cxr_jax.models.convolution_cpu import AXES


def convolve(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), ONE, dimension_numbers=AXES)


def outcome(options: dict) -> str:
    """Whether the convolution, compiled with these options, can be serialised."""
    arrays = jnp.ones((8, 16, 16, 64)), jnp.ones((3, 3, 64, 64))
    compiled = jax.jit(convolve).lower(*arrays).compile(compiler_options=options)
    called = "__onednn$convolution" in (compiled.as_text() or "")
    name = "oneDNN's convolution" if called else "XLA's convolution"
    try:
        payload, *_ = serialize(compiled)
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        return f"{name}: {type(error).__name__}: {error}"
    return f"{name}: {len(payload)} bytes"


if __name__ == "__main__":
    print(machine.describe("jax", "jaxlib"))
    for options in ({}, ONEDNN):
        print(outcome(options), flush=True)
