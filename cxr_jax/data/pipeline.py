"""Batches by index: batch i is a function of (seed, i), so resuming is slicing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import grain
import numpy as np

from cxr_jax import rng
from cxr_jax.data.source import Examples

Batch = dict[str, np.ndarray]

# Reading and decoding are done without the interpreter lock: threads beat processes
# here. Each makes a whole batch: what Python does per picture is what limits the rate.
_THREADS = min(max(os.cpu_count() or 1, 4), 16)
_READ = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=2 * _THREADS)


def train_batches(
    examples: Examples, *, batch_size: int, seed: int, start: int
) -> Iterator[Batch]:
    """Endless shuffled batches, beginning with batch number `start`.

    Every epoch is a new permutation; a batch may span two epochs, so that all batches
    are full and each example is seen equally often.
    """
    order = int(rng.generator(seed, "shuffle").integers(2**31))
    dataset = (
        grain.MapDataset.range(len(examples))
        .seed(order)
        .shuffle()
        .repeat()
        .batch(batch_size)
        .map(examples.batch)
    )
    return iter(dataset[start:].to_iter_dataset(_READ))


def eval_batches(examples: Examples, *, batch_size: int) -> Iterator[dict[str, Any]]:
    """Every example once in order; the last batch is padded with copies.

    The copies carry the index -1, by which they are told apart and dropped.
    """
    indices = grain.MapDataset.range(len(examples)).batch(batch_size)
    dataset = indices.map(examples.batch)
    for batch in dataset.to_iter_dataset(_READ):
        missing = batch_size - len(batch["index"])
        if missing:
            batch = {
                name: np.concatenate([column, np.repeat(column[:1], missing, axis=0)])
                for name, column in batch.items()
            }
            batch["index"][-missing:] = -1
        yield batch
