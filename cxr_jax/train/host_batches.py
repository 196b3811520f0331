"""Steps whose batches the host reads, decodes or copies while the device works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax

from cxr_jax.data import pipeline
from cxr_jax.data.pipeline import Examples
from cxr_jax.devices import ahead, sharding
from cxr_jax.steps import Settings
from cxr_jax.train import stepper

if TYPE_CHECKING:
    from cxr_jax.train.session import Run


def from_host(run: Run) -> stepper.Stepper:
    """Batches are read, or copied out of memory, by threads while the device works."""
    exp, config = run.exp, run.exp.config
    jitted, root = stepper.compiled(exp.train_step, exp.mesh), stepper.roots([run])
    step = ahead.Kept(lambda: jitted, f"step from the host of {exp.decided_by}")
    examples = Examples(
        run.splits.train, run.targets, size=config.data.size, square=config.data.square
    )
    batches = None

    def advance(state, first, settings: list[Settings], going):
        nonlocal batches
        batches = batches or pipeline.train_batches(
            examples, batch_size=config.batch_size, seed=config.seed, start=first
        )
        one = jax.tree.map(lambda row: row[0], settings[0])
        state, metrics = step(state, sharding.put(next(batches), exp.mesh), root, one)
        return state, [jax.tree.map(lambda value: value[None], metrics)]

    return stepper.Stepper(*stepper.SINGLE, advance, 1)
