"""Batches by index: batch i is a function of (seed, i), so resuming is slicing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grain
import numpy as np

from cxr_jax import rng
from cxr_jax.data.source import Examples

Batch = dict[str, np.ndarray]

# Decoding is done in OpenCV without the interpreter lock: threads beat processes here.
_READ = grain.ReadOptions(num_threads=4, prefetch_buffer_size=64)


def train_batches(
    examples: Examples, *, batch_size: int, seed: int, start: int
) -> Iterator[Batch]:
    """Endless shuffled batches, beginning with batch number `start`.

    Every epoch is a new permutation; a batch may span two epochs, so that all batches
    are full and each example is seen equally often.
    """
    order = int(rng.generator(seed, "shuffle").integers(2**31))
    dataset = (
        grain.MapDataset.source(examples)
        .seed(order)
        .shuffle()
        .repeat()
        .batch(batch_size)
    )
    return iter(dataset[start:].to_iter_dataset(_READ))


def eval_batches(examples: Examples, *, batch_size: int) -> Iterator[dict[str, Any]]:
    """Every example once in order; the last batch is padded with copies.

    The copies carry the index -1, by which they are told apart and dropped.
    """
    dataset = grain.MapDataset.source(examples).batch(batch_size)
    for batch in dataset.to_iter_dataset(_READ):
        missing = batch_size - len(batch["index"])
        if missing:
            batch = {
                name: np.concatenate([column, np.repeat(column[:1], missing, axis=0)])
                for name, column in batch.items()
            }
            batch["index"][-missing:] = -1
        yield batch
