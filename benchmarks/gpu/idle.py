"""How long the device waits for the host in our loop, pictures on the device."""

from __future__ import annotations

import pathlib
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.gpu.sizes import Sizes


def ours(sizes: Sizes, dtype: str) -> Iterator[dict[str, Any]]:
    """{'idle': 1 - time in kernels / time from the first to the last, from a trace}.

    None where the device has no trace of its own, as the CPU.
    """
    import jax

    from benchmarks.gpu.looped import Loop, noise

    size = sizes.loop_batch
    pixels = noise(sizes.pictures, sizes.stored)
    loop = Loop(sizes.loop_model, dtype, sizes.side, size, pixels)
    loop.calls(1)
    start = time.perf_counter()
    loop.calls(sizes.calls)
    took = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            loop.calls(3)
        idle = gaps(_kernels(pathlib.Path(folder)))
    yield {
        "model": sizes.loop_model,
        "dtype": dtype,
        "batch": size,
        "first": loop.first,
        "images_per_s": size * sizes.calls * loop.most / took,
        "idle": idle,
        "device": jax.devices()[0].device_kind,
    }


def _kernels(folder: pathlib.Path) -> list[tuple[float, float]]:
    """(start, end) of all that ran on a GPU while it was traced, in nanoseconds.

    The lines of a GPU are its streams, and some that repeat them by step or module.
    """
    import jax

    [path] = folder.rglob("*.xplane.pb")
    data = jax.profiler.ProfileData.from_file(str(path))
    return [
        (event.start_ns, event.start_ns + event.duration_ns)
        for plane in data.planes
        if plane.name.startswith("/device:GPU")
        for line in plane.lines
        if (line.name or "").startswith("Stream")
        for event in line.events
    ]


def gaps(spans: Iterable[tuple[float, float]]) -> float | None:
    """Share of the time from the first to the last that no span covers; None of none."""
    merged: list[list[float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    if not merged:
        return None
    covered = sum(end - start for start, end in merged)
    return 1 - covered / (merged[-1][1] - merged[0][0])
