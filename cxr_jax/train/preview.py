"""What the model is shown while it trains, as a picture for people."""

from __future__ import annotations

import functools

import jax
import numpy as np

from cxr_jax import rng
from cxr_jax.data import pipeline
from cxr_jax.data.split import Split
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.runs import pictures

_SHOWN = 32


def draw(config, split: Split, targets, positions: np.ndarray, step: int):
    """The first pictures of the batch of a step as it was augmented, uint8 [H, W(, 3)].

    Args:
      config: of the run.
      split, targets: of the training.
      positions: of the batch, [B].
      step: updates done before it.
    """
    examples = pipeline.Examples(
        split, targets, size=config.data.size, square=config.data.square
    )
    key = rng.stream(rng.root(config.seed), "augment", step)
    batch = _preprocess(config.preprocess.train)(
        examples.batch(positions), key, np.float32(config.preprocess.strength)
    )
    return pictures.grid(np.asarray(batch["image"][:_SHOWN]))


@functools.cache
def _preprocess(text: str):
    return jax.jit(make_preprocess(text, train=True))
