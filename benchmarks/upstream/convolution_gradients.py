"""XLA:CPU computes gradients of convolutions several times slower than convolutions.

    taskset -c 0 python -m benchmarks.upstream.convolution_gradients

For the 3 x 3 convolutions of ResNet-18 at 128 px, batch 32: GFLOP per CPU second, which
other programs disturb little. `usual` is jax.vjp of lax.conv_general_dilated, `ours`
cxr_jax.models.convolution_cpu, the same sums written as XLA's one fast convolution.
PyTorch, which calls oneDNN, is timed in turns with them where it is installed. All do
the same 2 * B * H * W * 9 * C * O operations. A sum of squares of the errors that is
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

BATCH, REPEATS = 32, 5
# (side, channels, filters, stride)
SHAPES = ((32, 64, 64, 1), (16, 128, 128, 1), (8, 256, 256, 1), (4, 512, 512, 1))
SHAPES += ((32, 64, 128, 2),)
ONE = ((1, 1), (1, 1))
ONEDNN = {
    "xla_cpu_experimental_onednn_custom_call": True,
    "xla_cpu_experimental_ynn_fusion_type": "",
}

Timed = dict[str, Callable[[], Any]]


def programs(x, kernel, dy, stride: int) -> dict[str, tuple[Callable, tuple]]:
    """{'forward', 'usual dx', 'usual dw', 'our dx', 'our dw': (function, arguments)}."""

    def usual(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), ONE, dimension_numbers=convolution_cpu.AXES
        )

    to_x = jax.linear_transpose(lambda x: usual(x, kernel), x)
    to_kernel = jax.linear_transpose(lambda kernel: usual(x, kernel), kernel)
    return {
        "forward": (usual, (x, kernel)),
        "usual dx": (lambda dy: to_x(dy)[0], (dy,)),
        "usual dw": (lambda dy: to_kernel(dy)[0], (dy,)),
        "our dx": (
            lambda kernel, dy: convolution_cpu.input_gradient(
                kernel, dy, stride, ONE, x.shape
            ),
            (kernel, dy),
        ),
        "our dw": (
            lambda x, dy: convolution_cpu.kernel_gradient(
                x, dy, stride, ONE, kernel.shape
            ),
            (x, dy),
        ),
    }


def of_jax(x, kernel, dy, stride: int) -> tuple[Timed, list[str]]:
    """({'forward', 'usual dx', ..., 'onednn dw'}, those that oneDNN computes)."""
    timed, by_onednn = {}, []
    for name, (function, arguments) in programs(x, kernel, dy, stride).items():
        lowered = jax.jit(function).lower(*arguments)
        timed[name] = partial(_wait, lowered.compile(), arguments)
        if name.startswith("usual"):
            continue
        name = f"onednn {name.removeprefix('our ')}"
        try:
            compiled = lowered.compile(compiler_options=ONEDNN)
        except jax.errors.JaxRuntimeError:
            continue  # a jaxlib without these options
        timed[name] = partial(_wait, compiled, arguments)
        if "__onednn$convolution" in (compiled.as_text() or ""):
            by_onednn.append(name)
    return timed, by_onednn


def _wait(function, arguments):
    return jax.block_until_ready(function(*arguments))


def of_torch(x, kernel, dy, stride: int) -> Timed:
    """{'torch forward', 'torch dx', 'torch dw'}, channels-last."""
    import torch

    def last(array, axes):
        moved = torch.from_numpy(np.array(array.transpose(axes)))
        return moved.contiguous(memory_format=torch.channels_last)

    images, filters, dy = (
        last(x, (0, 3, 1, 2)),
        last(kernel, (3, 2, 0, 1)),
        last(dy, (0, 3, 1, 2)),
    )
    # None, stride, padding, dilation, transposed, output padding, groups.
    settings = (None, (stride,) * 2, (1, 1), (1, 1), False, (0, 0), 1)
    backward = torch.ops.aten.convolution_backward

    def gradient(wanted):
        return backward(dy, images, filters, *settings, wanted)

    return {
        "torch forward": lambda: torch.ops.aten.convolution(images, filters, *settings),
        "torch dx": lambda: gradient([True, False, False])[0].permute(0, 2, 3, 1),
        "torch dw": lambda: gradient([False, True, False])[1].permute(2, 3, 1, 0),
    }


def check(found: dict[str, Any]) -> None:
    """Ends the program where two ways to the same gradient differ."""
    for gradient in ("dx", "dw"):
        expected = np.asarray(found[f"usual {gradient}"], np.float64)
        for name, value in found.items():
            if name.endswith(gradient):
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
    x, kernel = draw(BATCH, side, side, before), draw(3, 3, before, after)
    dy = draw(BATCH, end, end, after)
    timed, by_onednn = of_jax(x, kernel, dy, stride)
    if find_spec("torch"):
        timed |= of_torch(*map(np.asarray, (x, kernel, dy)), stride)
    check({name: function() for name, function in timed.items()})
    work = 2e-9 * BATCH * end**2 * 9 * before * after
    found: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(REPEATS):
        for name, function in timed.items():
            function()
            start, calls = time.process_time(), 0
            while time.process_time() - start < 0.2:
                function()
                calls += 1
            found[name].append(calls * work / (time.process_time() - start))
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
