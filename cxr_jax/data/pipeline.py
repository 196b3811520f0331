"""Batches by index: batch i is a function of (seed, i), so resuming is slicing."""

from __future__ import annotations

import os
from collections.abc import Iterator

import grain
import numpy as np

from cxr_jax import rng
from cxr_jax.data import decode
from cxr_jax.data.split import Split
from cxr_jax.devices import processes

Batch = dict[str, np.ndarray]

# Reading and decoding release the interpreter lock, so threads beat processes here.
# Each makes a whole batch: Python overhead per image limits the rate.
_THREADS = min(max(os.cpu_count() or 1, 4), 16)
_READ = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=2 * _THREADS)


class Examples:
    """Makes batches of a split from given positions."""

    def __init__(
        self, split: Split, targets: dict[str, np.ndarray], *, size: int, square: str
    ):
        self._split, self._targets = split, targets
        self._size, self._square = size, square

    def __len__(self) -> int:
        return self._split.size

    def batch(self, indices: np.ndarray) -> Batch:
        """Returns {'image', 'mask': [B, size, size, 1], targets: [B, ...]}."""
        return {
            **decode.pictures(self._split, indices, self._size, self._square),
            **{name: column[indices] for name, column in self._targets.items()},
        }


def order(examples: int, *, batch_size: int, seed: int) -> grain.MapDataset:
    """Positions of every training batch: int [B] at [i], for any i.

    Every epoch is a new permutation; a batch may span two epochs, so that all batches
    are full and all examples are seen equally often.
    """
    shuffle = int(rng.generator(seed, "shuffle").integers(2**31))
    numbers = grain.MapDataset.range(examples).seed(shuffle)
    return numbers.shuffle().repeat().batch(batch_size)


def train_batches(
    examples: Examples, *, batch_size: int, seed: int, start: int
) -> Iterator[Batch]:
    """Yields this process's share of endless batches in `order`, from batch `start`."""
    batches = order(len(examples), batch_size=batch_size, seed=seed)
    read = batches.map(lambda index: examples.batch(processes.part(index)))
    return iter(read[start:].to_iter_dataset(_READ))


def eval_batches(
    examples: Examples, *, batch_size: int
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yields every example once, in order: positions [B], and this process's share.

    The last batch is padded with its first example, at position -1.
    """

    def read(index: np.ndarray) -> tuple[np.ndarray, Batch]:
        missing = batch_size - len(index)
        filled = np.concatenate([index, np.repeat(index[:1], missing)])
        batch = examples.batch(processes.part(filled))
        return np.concatenate([index, np.full(missing, -1)]), batch

    indices = grain.MapDataset.range(len(examples)).batch(batch_size)
    yield from indices.map(read).to_iter_dataset(_READ)
