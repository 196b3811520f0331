"""XLA:CPU computes the gradient of a matrix with a transposed copy of the larger array.

    taskset -c 0 python -m benchmarks.upstream.product_gradients

The 1 x 1 convolutions of DenseNet-121 and MobileNetV2 at 128 px, batch 32, are products
of images [B, H, W, C] and a matrix [C, O]. For its gradient JAX traces dot_general(dy, x)
and transposes what comes out; XLA:CPU turns the operands around, lays dy out anew as
[O, B * H * W], once more beside what it has, and multiplies with both contracted
dimensions apart. `first` is the same sum as dot_general(x, dy), which
cxr_jax.models.convolution.product has. Milliseconds of CPU of a step's part, in which dy
comes from an elementwise function, as that of a batch norm, and the gradient of the
images is computed too. A sum of squares of the errors that is above 1e-8 of that of the
values ends the program.
"""

from __future__ import annotations

import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import machine
from cxr_jax.models.convolution import product

BATCH, REPEATS = 32, 5
# (side, channels, filters)
SHAPES = ((32, 224, 128), (16, 384, 128), (8, 768, 128), (4, 768, 128))
SHAPES += ((64, 16, 96), (32, 24, 144), (32, 144, 24), (8, 384, 64))


def gradients(function, x, kernel, source):
    """Of the images and of the matrix, where dy is computed from `source`."""
    dy = source * source + 1e-3 * source
    return jax.vjp(function, x, kernel)[1](dy)


def rates(side: int, before: int, after: int) -> dict[str, float]:
    """{name: median CPU milliseconds}, timed in turns."""
    generator = np.random.default_rng(0)

    def draw(*shape: int):
        return jnp.asarray(generator.standard_normal(shape, np.float32))

    arrays = (
        draw(BATCH, side, side, before),
        draw(before, after),
        draw(BATCH, side, side, after),
    )
    programs = {
        name: jax.jit(partial(gradients, function))
        for name, function in (("usual", jnp.dot), ("first", product))
    }
    values = {name: program(*arrays) for name, program in programs.items()}
    for found, expected in zip(values["first"], values["usual"], strict=True):
        error = float(jnp.linalg.norm(found - expected))
        if not error**2 <= 1e-8 * float(jnp.linalg.norm(expected)) ** 2:
            raise SystemExit("a gradient is wrong")
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(REPEATS):
        for name, program in programs.items():
            start, calls = time.process_time(), 0
            while time.process_time() - start < 0.2:
                jax.block_until_ready(program(*arrays))
                calls += 1
            times[name].append(1e3 * (time.process_time() - start) / calls)
    return {name: statistics.median(each) for name, each in times.items()}


if __name__ == "__main__":
    print(machine.describe("jax", "jaxlib"))
    print(f"CPU ms, median of {REPEATS}, batch {BATCH}, float32")
    for shape in SHAPES:
        cells = [f"{name} {each:.1f}" for name, each in rates(*shape).items()]
        print(shape, ", ".join(cells), flush=True)
