"""XLA:CPU computes gradients of convolutions several times slower than convolutions,
and convolutions with a large kernel over a small map slowly.

    taskset -c 0 python -m benchmarks.upstream.convolution_gradients

For the 3 x 3 convolutions of ResNet-18 at 128 px, batch 32: GFLOP per CPU second, which
other programs disturb little. `usual` is lax.conv_general_dilated and its jax.vjp, `our`
cxr_jax.models.convolution_cpu, the same sums written as XLA's one fast convolution or as
products of matrices. PyTorch, which calls oneDNN, is timed in turns with them where it is
installed. All do the same 2 * B * H * W * 9 * C * O operations. Calls go through SETS of
arrays, more than a cache holds, as a layer of a network finds its kernel: with one set
XLA's convolution of 4 x 4 x 512 seems three times as fast as it is in a training step. A sum of squares of the errors that is
above 1e-6 of that of the values ends the program.

jaxlib 0.12 has oneDNN too, but calls it only if asked to: `onednn` is `ours` compiled with
ONEDNN, which also turns off YNNPACK, as that takes the convolutions first. After each
shape stands which of them oneDNN then computes: not the gradient of images with a stride,
which is a convolution of an image spread with zeros (lhs_dilation).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks import machine
from cxr_jax.models import convolution_cpu

BATCH, REPEATS, SETS = 32, 5, 6
# (side, channels, filters, stride)
SHAPES = ((32, 64, 64, 1), (16, 128, 128, 1), (8, 256, 256, 1), (4, 512, 512, 1))
SHAPES += ((32, 64, 128, 2),)
ONE = ((1, 1), (1, 1))
ONEDNN = {
    "xla_cpu_experimental_onednn_custom_call": True,
    "xla_cpu_experimental_ynn_fusion_type": "",
}

# {name: the result for one of the sets of arrays}
Timed = dict[str, Callable[[int], Any]]


def programs(stride: int) -> dict[str, Callable]:
    """{'usual forward', 'usual dx', 'usual dw', 'our ...': of (x, kernel, dy)}."""

    def usual(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), ONE, dimension_numbers=convolution_cpu.AXES
        )

    def usual_dx(x, kernel, dy):
        return jax.linear_transpose(lambda x: usual(x, kernel), x)(dy)[0]

    def usual_dw(x, kernel, dy):
        return jax.linear_transpose(lambda kernel: usual(x, kernel), kernel)(dy)[0]

    ours = convolution_cpu
    return {
        "usual forward": lambda x, kernel, dy: usual(x, kernel),
        "usual dx": usual_dx,
        "usual dw": usual_dw,
        "our forward": lambda x, kernel, dy: ours.convolve(x, kernel, stride, ONE),
        "our dx": lambda x, kernel, dy: ours.input_gradient(
            kernel, dy, stride, ONE, x.shape
        ),
        "our dw": lambda x, kernel, dy: ours.kernel_gradient(
            x, dy, stride, ONE, kernel.shape
        ),
    }


def of_jax(sets, stride: int) -> tuple[Timed, list[str]]:
    """({'usual forward', 'our dx', ..., 'onednn dw'}, those that oneDNN computes)."""
    timed, by_onednn = {}, []
    for name, function in programs(stride).items():
        lowered = jax.jit(function).lower(*sets[0])
        timed[name] = partial(_wait, lowered.compile(), sets)
        if name.startswith("usual"):
            continue
        name = f"onednn {name.removeprefix('our ')}"
        try:
            compiled = lowered.compile(compiler_options=ONEDNN)
        except jax.errors.JaxRuntimeError:
            continue  # a jaxlib without these options
        timed[name] = partial(_wait, compiled, sets)
        if "__onednn$" in (compiled.as_text() or ""):
            by_onednn.append(name)
    return timed, by_onednn


def _wait(function, sets, i: int):
    return jax.block_until_ready(function(*sets[i]))


def of_torch(sets, stride: int) -> Timed:
    """{'torch forward', 'torch dx', 'torch dw'}, channels-last."""
    import torch

    def last(array, axes):
        moved = torch.from_numpy(np.array(array.transpose(axes)))
        return moved.contiguous(memory_format=torch.channels_last)

    axes = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    sets = [tuple(map(last, arrays, axes)) for arrays in sets]
    # None, stride, padding, dilation, transposed, output padding, groups.
    settings = (None, (stride,) * 2, (1, 1), (1, 1), False, (0, 0), 1)

    def forward(i: int):
        images, filters, _ = sets[i]
        return torch.ops.aten.convolution(images, filters, *settings)

    def gradient(i: int, *wanted):
        images, filters, dy = sets[i]
        backward = torch.ops.aten.convolution_backward
        return backward(dy, images, filters, *settings, wanted)

    return {
        "torch forward": lambda i: forward(i).permute(0, 2, 3, 1),
        "torch dx": lambda i: gradient(i, True, False, False)[0].permute(0, 2, 3, 1),
        "torch dw": lambda i: gradient(i, False, True, False)[1].permute(2, 3, 1, 0),
    }


def check(found: dict[str, Any]) -> None:
    """Ends the program where two ways to the same values differ."""
    for part in ("forward", "dx", "dw"):
        expected = np.asarray(found[f"usual {part}"], np.float64)
        for name, value in found.items():
            if name.endswith(part):
                error = np.linalg.norm(np.asarray(value) - expected) ** 2
                if not error <= 1e-6 * np.linalg.norm(expected) ** 2:
                    raise SystemExit(f"{name} is wrong")


def rates(
    side: int, before: int, after: int, stride: int
) -> tuple[dict[str, float], list[str]]:
    """({name: median GFLOP per CPU second}, timed in turns; those by XLA's oneDNN)."""
    generator = np.random.default_rng(0)

    def draw(*shape: int):
        return jnp.asarray(generator.standard_normal(shape, np.float32))

    end = side // stride
    sets = [
        (
            draw(BATCH, side, side, before),
            draw(3, 3, before, after),
            draw(BATCH, end, end, after),
        )
        for _ in range(SETS)
    ]
    timed, by_onednn = of_jax(sets, stride)
    if find_spec("torch"):
        timed |= of_torch([tuple(map(np.asarray, arrays)) for arrays in sets], stride)
    check({name: function(0) for name, function in timed.items()})
    work = 2e-9 * BATCH * end**2 * 9 * before * after
    found: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(REPEATS):
        for name, function in timed.items():
            start = time.process_time()
            for i in range(SETS):
                function(i)
            found[name].append(SETS * work / (time.process_time() - start))
    medians = {name: statistics.median(values) for name, values in found.items()}
    return medians, by_onednn


if __name__ == "__main__":
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
    print(machine.describe("jax", "jaxlib", "torch"))
    print(f"GFLOP per CPU second, median of {REPEATS}, batch {BATCH}, float32")
    for shape in SHAPES:
        found, by_onednn = rates(*shape)
        cells = [f"{name} {rate:.0f}" for name, rate in found.items()]
        print(shape, ", ".join(cells))
        print(f"  by XLA's oneDNN: {', '.join(by_onednn) or 'none'}", flush=True)
