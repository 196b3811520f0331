"""Near-duplicate pictures: copies that were cropped, resized, re-encoded or flipped.

Public collections copy from each other, and a copy on the other side of the split is
an exam question seen before. Two pictures are taken for copies where the finest detail
of their fingerprints agrees once one is laid on the other. Found are crops up to about
5 % of each side, any size and aspect, JPEG, window, brightness, contrast and gamma,
left-right flips, writing and arrows, and all of these together; not rotations beyond
2 degrees, nor negatives. Two exposures of one patient are not copies.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tfds_builders.common import candidates, registration
from tfds_builders.common.fingerprints import SIDE

# Copies are below it in one of 200 cases, the most alike exposures of one patient
# reach 0.82, those of two patients 0.65 (1327 real films).
THRESHOLD = 0.91
_SAMPLE = 2000  # pictures that the descriptors are learned from
_CHUNK = 32


class Pair(NamedTuple):
    """Two near-duplicate pictures."""

    left: int
    right: int
    correlation: float  # of the finest detail, after registration
    mirrored: bool  # one has to be flipped left to right


def pairs(fingerprints: np.ndarray, others: np.ndarray | None = None) -> list[Pair]:
    """All near-duplicates within one set (left < right), or between two, sorted.

    The order of the pictures changes no pair. A picture of one value is a copy of
    nothing here; `fingerprints.pixel_hash` finds equal pictures of any kind.

    Args:
      fingerprints: int8 [N, 9216] from `fingerprints.fingerprint`.
      others: int8 [M, 9216], the second set.
    """
    left = _Sorted(fingerprints)
    right = left if others is None else _Sorted(others)
    if not len(left.order) or not len(right.order):
        return []
    descriptor = candidates.learn(_sample([left] if others is None else [left, right]))
    described = [
        candidates.describe(descriptor, part.fingerprints, part.order)
        for part in ([left] if others is None else [left, right])
    ]
    found = candidates.find(
        descriptor, described[0], None if others is None else described[1]
    )
    best: dict[tuple[int, int], Pair] = {}
    for pair in _verified(left, right, found):
        if others is None and pair.left > pair.right:
            pair = pair._replace(left=pair.right, right=pair.left)
        key = pair.left, pair.right
        if key not in best or pair.correlation > best[key].correlation:
            best[key] = pair
    return sorted(best.values())


def groups(names: Sequence[str], fingerprints: np.ndarray) -> list[str]:
    """The group of each picture, named after its smallest member.

    Groups are closed under "is a copy of": a ~ b and b ~ c puts all three together.

    Args:
      names: N different names.
      fingerprints: int8 [N, 9216], in the same order.
    """
    count = len(names)
    if not count:
        return []
    found = pairs(fingerprints)
    ends = [pair.left for pair in found], [pair.right for pair in found]
    graph = coo_array((np.ones(len(found), bool), ends), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    smallest: dict[int, str] = {}
    for name, label in zip(names, labels, strict=True):
        smallest[label] = min(name, smallest.get(label, name))
    return [smallest[label] for label in labels]


class _Sorted:
    """The pictures in the order of a hash: everything is computed in this order."""

    def __init__(self, fingerprints: np.ndarray):
        self.fingerprints = np.asarray(fingerprints, np.int8).reshape(-1, SIDE * SIDE)
        hashes = [hashlib.sha256(row).digest() for row in self.fingerprints]
        structured = [i for i, row in enumerate(self.fingerprints) if row.any()]
        self.order = np.array(sorted(structured, key=hashes.__getitem__), int)
        self.hashes = [hashes[i] for i in self.order]

    def pictures(self, places: np.ndarray) -> np.ndarray:
        """float32 [n, 96, 96]."""
        rows = self.fingerprints[self.order[places]]
        return rows.reshape(-1, SIDE, SIDE).astype(np.float32)


def _sample(parts: list[_Sorted]) -> np.ndarray:
    """At most _SAMPLE fingerprints; the order of hashes is as good as drawn by lot."""
    entries = sorted(
        (digest, part, place)
        for part, one in enumerate(parts)
        for place, digest in enumerate(one.hashes)
    )[:_SAMPLE]
    rows = [parts[p].fingerprints[parts[p].order[place]] for _, p, place in entries]
    return np.stack(rows)


def _verified(left: _Sorted, right: _Sorted, found: Iterable) -> Iterator[Pair]:
    """The candidates that register onto each other, as indices of the caller."""

    def verify(chunk) -> list[Pair]:
        i, j, mirrored, start = chunk
        ours, theirs = left.pictures(i), right.pictures(j)
        theirs[mirrored] = theirs[mirrored, :, ::-1]
        correlation = registration.register(ours, theirs, start)
        return [
            Pair(
                int(left.order[i[k]]),
                int(right.order[j[k]]),
                float(correlation[k]),
                bool(mirrored[k]),
            )
            for k in np.flatnonzero(correlation > THRESHOLD)
        ]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(verify, _chunks(found)):
            yield from part


def _chunks(found: Iterable) -> Iterator[tuple]:
    for many in found:
        for at in range(0, len(many.left), _CHUNK):
            yield tuple(field[at : at + _CHUNK] for field in many)
