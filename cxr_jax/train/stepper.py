"""How the training steps get their batches: from the host, or on the device itself.

A feed makes steps: `advance(state, first, settings) -> (state, metrics)` does one step
for each row of `settings` [n], beginning with number `first`. The batches are the same
in both, and so are the numbers, to the rounding of another program.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cxr_jax.data import pipeline
from cxr_jax.data.pipeline import Examples
from cxr_jax.devices import processes, sharding
from cxr_jax.state import TrainState
from cxr_jax.steps import Settings

# Steps of one call at most: so many that starting them costs nothing.
STEPS = 32

Advance = Callable[[TrainState, int, Settings], tuple[TrainState, dict[str, jax.Array]]]


class Feed(NamedTuple):
    """Steps and where their batches come from.

    Attributes:
      advance: (state, first, settings [n]) -> (state, {name: [n, ...]}), n at most
        `most`; calls follow each other without gaps.
      most: steps of one call.
    """

    advance: Advance
    most: int


def compiled(step, mesh):
    """A step (state, ...) -> (state, metrics), jitted; the state it is given is used up."""
    return jax.jit(step, donate_argnums=0, out_shardings=sharding.replicated(mesh))


def from_host(
    train_step,
    mesh,
    examples: Examples,
    root,
    *,
    batch_size: int,
    seed: int,
    start: int,
) -> Feed:
    """Batches are read, or copied out of memory, by threads while the device works.

    Args:
      train_step: of `steps.make_train_step`.
      mesh: of the devices.
      examples: of the training split.
      root: key of the run, on all devices.
      batch_size, seed, start: of `pipeline.train_batches`.
    """
    step = compiled(train_step, mesh)
    batches = pipeline.train_batches(
        examples, batch_size=batch_size, seed=seed, start=start
    )

    def advance(state, first, settings):
        del first
        one = jax.tree.map(lambda row: row[0], settings)
        state, metrics = step(state, sharding.put(next(batches), mesh), root, one)
        return state, jax.tree.map(lambda value: value[None], metrics)

    return Feed(advance, 1)


def on_device(train_step, mesh, data: dict[str, Any], root, *, order) -> Feed:
    """Batches are gathered within the step, and many steps are made in one call.

    Args:
      train_step, mesh, root: see `from_host`.
      data: {'image': [N, size, size, 1], targets: [N, ...]} of the training split, a
        copy of which goes to every device.
      order: of `pipeline.order`.
    """
    data = sharding.replicate(data, mesh)
    many = compiled(make_many(gathering(train_step, mesh)), mesh)

    def advance(state, first, settings):
        count = len(settings.lr)
        indices = np.stack([order[first + i] for i in range(count)]).astype(np.int32)
        state, metrics = many(
            state, data, padded(indices), root, jax.tree.map(padded, settings), count
        )
        return state, jax.tree.map(lambda values: values[:count], metrics)

    return Feed(advance, STEPS)


class Pace:
    """Steps of the next call: a second's worth, so that Ctrl-C need not wait longer.

    Nothing but the time of the lines on the terminal depends on it. Several processes
    have to send off the same calls, whatever their clocks say: each is of `most`.

    Attributes:
      steps: of the next call, 1 to `most`.
    """

    def __init__(self, most: int):
        self._most, self._is_fixed = most, processes.count() > 1
        self.steps = most if self._is_fixed else 1
        self._sent, self._then = 0, time.monotonic()

    def sent(self, steps: int) -> None:
        """A call was sent off, and the one before it is done."""
        now = time.monotonic()
        if self._sent and not self._is_fixed:
            in_a_second = int(self._sent / max(now - self._then, 1e-6))
            # What an evaluation or a compilation took is soon grown out of.
            self.steps = max(1, min(in_a_second, 2 * self.steps, self._most))
        self._sent, self._then = steps, now


def padded(rows: np.ndarray) -> np.ndarray:
    """[n, ...] -> [STEPS, ...] with zeros after them: one shape, one program."""
    filled = np.zeros((STEPS, *rows.shape[1:]), rows.dtype)
    filled[: len(rows)] = rows
    return filled


def gathering(train_step, mesh):
    """-> step(state, data, index [B], root, settings), which takes its batch itself."""
    split = sharding.by_example(mesh)

    def step(state, data, index, root, settings):
        batch = {name: column[index] for name, column in data.items()}
        batch = lax.with_sharding_constraint(batch, split)
        return train_step(state, batch, root, settings)

    return step


def make_many(step):
    """-> many(state, data, indices, root, settings, count): `count` steps in one call.

    Args:
      step: (state, data, index, root, settings) -> (state, metrics); `indices` and
        `settings` have an axis before those, at least `count` long. The number of
        steps is no part of the program, so one serves up to any evaluation.

    Returns:
      The state, and the metrics with that axis before theirs.
    """

    step = jax.jit(step)  # traced once, though it is asked for its shapes before

    def many(state, data, indices, root, settings, count):
        def one(number, carry):
            state, kept = carry
            index, now = jax.tree.map(lambda row: row[number], (indices, settings))
            state, metrics = step(state, data, index, root, now)
            kept = jax.tree.map(lambda row, new: row.at[number].set(new), kept, metrics)
            return state, kept

        first = jax.tree.map(lambda row: row[0], (indices, settings))
        _, metrics = jax.eval_shape(step, state, data, first[0], root, first[1])
        kept = jax.tree.map(
            lambda new: jnp.zeros((len(indices), *new.shape), new.dtype), metrics
        )
        return lax.fori_loop(0, count, one, (state, kept))

    return many
