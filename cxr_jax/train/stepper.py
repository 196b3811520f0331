"""The device's side of a training: how the steps are made, and get their batches.

One stepper makes the steps of all members. Their batches come from the host one by one
(`host_batches`), or are gathered on the device, many steps in one call. A single run may
do either; members do the latter, side by side under `vmap`. (On the CPU, where convolutions with
several kernels at once are slow, those alone are a loop: `models.convolution`.) The
batches are the same everywhere, and so are the numbers, to the rounding of another
program.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cxr_jax import rng
from cxr_jax.devices import ahead, processes, sharding
from cxr_jax.state import TrainState
from cxr_jax.steps import Settings

if TYPE_CHECKING:
    from cxr_jax.train.members import Pictures
    from cxr_jax.train.session import Run

# Steps of one call at most: so many that starting them costs nothing.
STEPS = 32

Metrics = dict[str, jax.Array]


class Stepper(NamedTuple):
    """Makes the steps of K members.

    Attributes:
      join: [state of each member] -> the state that `advance` takes.
      member: (that state, k) -> the state of member k.
      advance: (state, first, [settings [n] of each], going) -> (state, [{name: [n, ...]}
        of each]): steps number first .. first + n - 1, n at most `most`. Members that
        are not `going` stay as they are. Calls follow each other without gaps.
      most: steps of one call.
    """

    join: Callable[[list[TrainState]], Any]
    member: Callable[[Any, int], TrainState]
    advance: Callable[..., tuple[Any, list[Metrics]]]
    most: int


def compiled(step, mesh):
    """A step (state, ...) -> (state, metrics), jitted; the state it is given is used up."""
    return jax.jit(step, donate_argnums=0, out_shardings=sharding.replicated(mesh))


def on_device(runs: list[Run], pictures: Pictures) -> Stepper:
    """Batches are gathered within the step, and many steps are made in one call.

    Args:
      runs: of one model; where there is one only, its step is not mapped.
      pictures: those of all runs, a copy of which goes to every device.
    """
    exp, count, single = runs[0].exp, len(runs), len(runs) == 1
    places = [_places(pictures.rows, run.splits.train.rows) for run in runs]
    targets = {
        name: _stacked(
            _spread(run.targets[name], where, len(pictures.rows))
            for run, where in zip(runs, places, strict=True)
        )
        for name in runs[0].targets
    }
    data = sharding.replicate({**pictures.pixels, **targets}, exp.mesh)
    step, keys = gathering(exp.train_step, exp.mesh), roots(runs)
    if not single:
        columns = {name: 0 if name in targets else None for name in data}
        step = jax.vmap(_where_going(step), in_axes=(0, columns, 0, 0, 0))
    jitted = compiled(make_many(step), exp.mesh)
    many = ahead.Kept(
        lambda: jitted, f"steps on the device of {count} {exp.decided_by}"
    )

    def advance(state, first, settings: list[Settings], going):
        steps = max(len(each.lr) for each in settings)
        index = _stacked(
            (
                np.stack([where[run.order[first + i]] for i in range(steps)])
                for run, where in zip(runs, places, strict=True)
            ),
            axis=1,
        ).astype(np.int32)
        # Of a member that is over there are none.
        now = jax.tree.map(
            lambda *each: _stacked((np.resize(r, steps) for r in each), axis=1),
            *(each if len(each.lr) else _ZEROS for each in settings),
        )
        if not single:
            goes = np.zeros((steps, count), bool)
            goes[:, going] = True
            now = now, goes
        state, metrics = many(
            *(state, data, padded(index), keys, jax.tree.map(padded, now)),
            np.int32(steps),
        )
        metrics = jax.tree.map(lambda values: values[:steps], metrics)
        if single:
            return state, [metrics]
        return state, [
            jax.tree.map(lambda values, k=k: values[:, k], metrics)
            for k in range(count)
        ]

    return Stepper(*(SINGLE if single else _make_joined(exp.mesh)), advance, STEPS)


def _make_joined(mesh):
    """-> (join, member) of states that are stacked."""
    stack = jax.jit(
        lambda *states: jax.tree.map(lambda *leaves: jnp.stack(leaves), *states),
        out_shardings=sharding.replicated(mesh),
    )
    pick = jax.jit(lambda states, k: jax.tree.map(lambda leaf: leaf[k], states))
    return lambda states: stack(*states), pick


SINGLE = (lambda states: states[0], lambda state, k: state)
_ZEROS = Settings(*[np.zeros(1, np.float32)] * 3)


def _stacked(each, axis: int = 0) -> np.ndarray:
    """Arrays of the members along a new axis, which a single run does not have."""
    each = list(each)
    return np.stack(each, axis) if len(each) > 1 else each[0]


def roots(runs: list[Run]) -> jax.Array:
    """The key of a single run, or those of all members, on all devices."""
    seeds, mesh = [run.exp.config.seed for run in runs], runs[0].exp.mesh
    if len(seeds) == 1:
        return sharding.compute(lambda: rng.root(seeds[0]), mesh)
    return sharding.compute(lambda: jnp.stack([*map(rng.root, seeds)]), mesh)


def _where_going(step):
    """The step of a member, which leaves it as it is where it is over."""

    def held(state, data, index, root, now):
        settings, goes = now
        new, metrics = step(state, data, index, root, settings)
        return jax.tree.map(lambda n, o: jnp.where(goes, n, o), new, state), metrics

    return held


def _places(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where in `rows`, which hold them all, each of the wanted rows stands."""
    order = np.argsort(rows)
    return order[np.searchsorted(rows, wanted, sorter=order)]


def _spread(targets: np.ndarray, where: np.ndarray, size: int) -> np.ndarray:
    """Targets of a member's examples at the places of their pictures."""
    spread = np.zeros((size, *targets.shape[1:]), targets.dtype)
    spread[where] = targets
    return spread


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
