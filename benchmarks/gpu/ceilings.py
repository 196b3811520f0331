"""What the device reaches at most: a matrix product, and a copy within its memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.training_steps import seconds


def ours(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """{'device', 'flops': {dtype: operations a second}, 'bandwidth': bytes a second}.

    Products are of random numbers (zeros are faster). A copy reads and writes: both
    count.
    """
    import jax
    import jax.numpy as jnp

    flops = {}
    for dtype in ("bfloat16", "float32"):
        side = sizes.matrix
        matrix = jax.random.normal(jax.random.key(0), (side, side), dtype)
        matrix = matrix / side**0.5
        product = jax.jit(jnp.matmul)
        flops[dtype] = 2 * side**3 / seconds(_chained(product, matrix), sizes.seconds)
    values = jnp.zeros(sizes.copied // 4, jnp.float32)
    add = jax.jit(lambda _, x: x + 1.0)
    took = seconds(_chained(add, values), sizes.seconds)
    device = jax.devices()[0]
    yield {
        "device": device.device_kind,
        "platform": device.platform,
        "flops": flops,
        "bandwidth": 2 * values.nbytes / took,
    }


def _chained(function, value):
    """-> run(times): function(value, what the last call gave)."""

    def run(times: int) -> None:
        last = value
        for _ in range(times):
            last = function(value, last)
        last.block_until_ready()

    return run
