"""Operations that can be written in two ways: which is faster on this device?

Each is timed forward and backward, its gradients included. 'ours' is what the models
trace for a device that is no CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.training_steps import seconds
from cxr_jax.models import convolution, convolution_cpu
from cxr_jax.models.pooling import max_pool


class Form(NamedTuple):
    """ours, other: functions of arrays of these shapes."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    ours: Any
    other: Any


def forms(batch: int, share: int = 1) -> list[Form]:
    """Layers of MobileNetV2, ConvNeXt-T and ResNet-50 at 224 px.

    share: sides and channels are divided by it.
    """
    found = []
    for side, channels, size in (
        (112, 32, 3),
        (28, 192, 3),
        (14, 576, 3),
        (56, 96, 7),
        (14, 384, 7),
    ):
        n, c = max(side // share, size), max(channels // share, 1)
        found.append(
            Form(
                f"depthwise {size} x {size}, {n} px, {c}: grouped, or shifted sums",
                ((batch, n, n, c), (size, size, c)),
                partial(convolution.depthwise, stride=1),
                _shifted,
            )
        )
    for side, before, after in ((56, 64, 256), (14, 1024, 256)):
        n, i, o = max(side // share, 1), max(before // share, 1), max(after // share, 1)
        found.append(
            Form(
                f"1 x 1, {n} px, {i} to {o}: product, or convolution",
                ((batch, n, n, i), (1, 1, i, o)),
                lambda x, k: lax.dot_general(x, k[0, 0], (((3,), (0,)), ((), ()))),
                partial(_usual, stride=1),
            )
        )
    n, c = max(112 // share, 4), max(64 // share, 1)
    pool = {"size": 3, "stride": 2, "padding": 1}
    shape = ((batch, n, n, c),)
    name = f"max pool, {n} px, {c}: slices, or a window"
    return [*found, Form(name, shape, partial(max_pool, **pool), _window)]


def _usual(x, kernel, stride: int):
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=convolution_cpu.AXES
    )


@jax.custom_vjp
def _shifted(x, kernel):
    return convolution_cpu.depthwise(x, kernel, 1)


def _shifted_backward(kept, dy):
    x, kernel = kept
    return (
        convolution_cpu.depthwise_input_gradient(kernel, dy, 1, x.shape),
        convolution_cpu.depthwise_kernel_gradient(x, dy, 1, len(kernel)),
    )


_shifted.defvjp(lambda x, kernel: (_shifted(x, kernel), (x, kernel)), _shifted_backward)


def _window(x):
    pads = ((0, 0), (1, 1), (1, 1), (0, 0))
    lowest = np.array(-np.inf, x.dtype)
    return lax.reduce_window(x, lowest, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), pads)


def ours(sizes: Sizes, dtype: str) -> Iterator[dict[str, Any]]:
    """{'forms': {name: [seconds of ours, of the other]}}."""
    found = {}
    is_smoke = sizes.matrix < 1024
    for form in forms(sizes.loop_batch, 16 if is_smoke else 1):
        draw = partial(jax.random.normal, dtype=dtype)
        arrays = [draw(jax.random.key(k), s) for k, s in enumerate(form.shapes)]
        found[form.name] = [
            seconds(_both_ways(function, arrays), sizes.seconds / 2)
            for function in (form.ours, form.other)
        ]
    yield {"dtype": dtype, "batch": sizes.loop_batch, "forms": found}


def _both_ways(function, arrays):
    """-> run(times): forward, and back with the output itself as its gradient."""

    @jax.jit
    def both(*arrays):
        y, back = jax.vjp(function, *arrays)
        return back(y)

    def run(times: int) -> None:
        found = ()
        for _ in range(times):
            found = both(*arrays)
        jax.block_until_ready(found)

    return run
