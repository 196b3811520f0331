"""Our loop as `cxr_jax.train.loop` runs it, pictures on the device, but for the files."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from benchmarks.gpu import ours
from cxr_jax.devices import sharding
from cxr_jax.train import stepper


class Loop:
    """Calls of many steps, one after another; the first compiles.

    Attributes:
      most: steps of a call. first: seconds of the first call.

    Args:
      pixels: uint8 [N, side, side, 1]. scores: int32 [N, 6], of them; None is random.
      members: trained at once.
    """

    def __init__(
        self,
        model: str,
        dtype: str,
        side: int,
        batch_size: int,
        pixels: np.ndarray,
        members: int = 1,
        scores: np.ndarray | None = None,
    ):
        made = ours.setup(
            model,
            dtype,
            side,
            batch_size,
            task="brixia",
            preprocess=ours.AUGMENTED.format(side=side),
            clip_norm=1.0,
        )
        count = len(pixels)
        runs = [ours.run(made, count, batch_size, seed) for seed in range(members)]
        if scores is not None:
            runs = [run._replace(targets={"scores": scores}) for run in runs]
        pictures: Any = SimpleNamespace(rows=np.arange(count), pixels={"image": pixels})
        self._device = stepper.on_device(runs, pictures)  # type: ignore
        self.most, self._step, self._members = self._device.most, 0, members
        states = [sharding.replicate(made.state(k), made.mesh) for k in range(members)]
        self._state = self._device.join(states)
        start = time.perf_counter()
        jax.block_until_ready(self.call(1))
        self.first = time.perf_counter() - start

    def call(self, steps: int = 0):
        """Sends off so many steps, 0 for `most`; -> metrics that may not be ready."""
        steps = steps or self.most
        given = ours.settings(steps, weight_decay=1e-2)
        self._state, metrics = self._device.advance(
            self._state, self._step, [given] * self._members, [*range(self._members)]
        )
        self._step += steps
        return metrics

    def calls(self, count: int) -> None:
        """So many calls, each sent off before what the last one gave is looked at."""
        before = None
        for _ in range(count):
            metrics = self.call()
            if before is not None:
                jax.device_get(before)
            before = metrics
        jax.device_get(before)


def noise(count: int, side: int) -> np.ndarray:
    """uint8 [count, side, side, 1]."""
    shape = (count, side, side, 1)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
