"""Training steps of one model, side by side: ours, PyTorch eager, torch.compile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from benchmarks.gpu.sizes import Sizes

SEED = 0


def batch(side: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, uint8 [B, side, side, 1], and labels, int32 [B]."""
    generator = np.random.default_rng(SEED)
    images = generator.integers(0, 256, (size, side, side, 1), dtype=np.uint8)
    return images, generator.integers(0, 4, size, dtype=np.int32)


def ours(model: str, dtype: str, sizes: Sizes, alone, until: float) -> Iterator[Any]:
    """Facts, and then seconds of an image in a step, one timing after another.

    Args:
      alone: a lock, held while the device is needed alone.
      until: by the clock of the machine; no further batch size is tried after it.
    """
    made: dict[int, dict[str, Any]] = {}

    def make(size: int):
        run, made[size] = _our_step(model, dtype, sizes.side, size)
        return run

    yield from _timed(make, made, sizes, alone, until)


def torch(
    model: str, dtype: str, sizes: Sizes, alone, until: float, *, compiled: bool
) -> Iterator[Any]:
    """The same of PyTorch, channels-last; bfloat16 is autocast."""
    from benchmarks import torch_models

    if model not in torch_models.MODELS:
        raise ModuleNotFoundError(name=f"{model} in torchvision")

    def make(size: int):
        settings = {"outputs": 4, "dtype": dtype, "compiled": compiled}
        images, labels = batch(sizes.side, size)
        return torch_models.trainer(model, images, labels, **settings)

    begun = {}
    if compiled:  # for long on the processor alone, while ours has the device
        size, start = sizes.batches[0], time.perf_counter()
        run = make(size)
        run(1)
        begun[size] = run, time.perf_counter() - start
    yield from _timed(make, {}, sizes, alone, until, begun)


def _timed(make, made, sizes: Sizes, alone, until: float, begun=()) -> Iterator[Any]:
    """Tries the batch sizes, then times the best again and again.

    Args:
      make: size of a batch -> run(steps).
      made: {size: facts}, which it leaves there.
      begun: {size: (run, seconds of its first step)} where that is done.
    """
    best, tried, first = {}, {}, {}
    with _held(alone, until):
        for size in sizes.batches:
            if best and time.time() > until:
                break
            try:
                run, first[size] = begun[size] if size in begun else _first(make, size)
            except Exception as error:  # out of memory: the sizes before it count
                if not best:
                    raise
                print(f"batch {size}: {type(error).__name__}: {error}", flush=True)
                break
            tried[size] = seconds(run, sizes.seconds) / size
            if tried[size] == min(tried.values()):
                best = {size: run}  # another gives its memory back
    [(size, run)] = best.items()
    yield {
        "batch": size,
        "first": next(iter(first.values())),
        "images_per_s": {str(k): 1 / value for k, value in tried.items()},
        **made.get(size, {}),
    }
    while True:
        yield seconds(run, sizes.seconds) / size


@contextmanager
def _held(alone, until: float) -> Iterator[None]:
    """The device alone; without it where one that crashed never gave it back."""
    held = alone.acquire(timeout=max(until - time.time(), 1.0))
    try:
        yield
    finally:
        if held:
            alone.release()


def _first(make, size: int):
    """-> run(steps), and the seconds until its first step was done."""
    start = time.perf_counter()
    run = make(size)
    run(1)
    return run, time.perf_counter() - start


def _our_step(model: str, dtype: str, side: int, size: int):
    """-> run(steps), {'flops', 'bytes', 'device'} of a step."""
    import jax

    from benchmarks.gpu import ours as ours_lib
    from cxr_jax import rng
    from cxr_jax.devices import sharding
    from cxr_jax.train import flops, stepper

    task = "brixia" if model == "bsnet" else "classify"
    made = ours_lib.setup(model, dtype, side, size, task=task)
    images, _ = batch(side, size)
    fed = {"image": images, **ours_lib.targets(made.task, size)}
    data = sharding.put(fed, made.mesh)
    everywhere = sharding.replicated(made.mesh)
    state, root = jax.device_put((made.state(), rng.root(SEED)), everywhere)
    settings = ours_lib.settings()
    lowered = stepper.compiled(made.train_step, made.mesh).lower(
        state, data, root, settings
    )
    step = lowered.compile()
    costs = step.cost_analysis() or {}
    facts = {
        "flops": flops.flops(made.train_step, state, data, root, settings),
        "bytes": costs.get("bytes accessed"),
        "device": jax.devices()[0].device_kind,
    }

    def run(steps: int) -> None:
        nonlocal state
        metrics = None
        for _ in range(steps):
            state, metrics = step(state, data, root, settings)
        jax.block_until_ready(metrics)

    return run, facts


def seconds(run, least: float) -> float:
    """Seconds of a step: of as many as take `least` seconds, after one to warm up."""
    count = 1
    run(1)
    while True:
        start = time.perf_counter()
        run(count)
        took = time.perf_counter() - start
        if took >= least:
            return took / count
        count = max(
            count + 1, min(round(1.2 * count * least / max(took, 1e-9)), 8 * count)
        )


TRAINERS = {
    "ours": ours,
    "eager": partial(torch, compiled=False),
    "torch.compile": partial(torch, compiled=True),
}
