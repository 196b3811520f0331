"""Near-duplicate pictures: copies that were cropped, resized, re-encoded or flipped.

Public collections copy from each other, and a copy on the other side of the split
leaks. Two images count as copies if the finest detail of their fingerprints agrees
after registration. It finds crops of up to 5 % off every side, any size and aspect,
JPEG, window, brightness, contrast and gamma, left-right flips, writing and arrows, and
several of these together; it does not find rotations beyond 1 degree, crops beyond 8 %
and negatives. Two exposures of one patient are not copies. `python -m benchmarks.duplicates` measures it.
"""

import functools
import hashlib
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy
from threadpoolctl import threadpool_limits

from tfds_builders.common.duplicates import candidates, registration
from tfds_builders.common.duplicates.fingerprints import SIDE

# One copy in 200 is below it. On 1327 real films the most alike exposures of one
# patient reach 0.82, those of different patients 0.64; drawn films of different
# patients, which share their bones, reach 0.916 among 224 million pairs.
THRESHOLD = 0.91
_SAMPLE = 2000  # pictures that the descriptors are learned from
_CHUNK = 64  # pairs at a time


class Pair(NamedTuple):
    """Two near-duplicate pictures."""

    left: int
    right: int
    correlation: float  # of the finest detail, as in registration.settle
    mirrored: bool  # one is the other flipped left to right


def pairs(fingerprints: np.ndarray, others: np.ndarray | None = None) -> list[Pair]:
    """All near-duplicates within one set (left < right), or between two, sorted.

    The result does not depend on the order of the images. A constant image has no
    copies here; `fingerprints.pixel_hash` finds identical images of any kind.

    Args:
      fingerprints: int8 [N, 9216] from `fingerprints.fingerprint`.
      others: int8 [M, 9216], the second set.
    """
    within = others is None
    sets = [_Sorted(fingerprints)] + ([] if within else [_Sorted(others)])
    if not all(len(one.order) for one in sets):
        return []
    # Threads of our own: those of BLAS wait for each other where cores are shared, and
    # their number would change the rounding.
    single = threadpool_limits(1, user_api="blas")
    with single, ThreadPoolExecutor(os.cpu_count()) as pool:
        descriptor = candidates.learn(_sample(sets))
        described = [
            candidates.describe(descriptor, one.fingerprints, one.order, pool.map)
            for one in sets
        ]
        for one in sets:
            one.prepare(pool)
        left, right = described[0], None if within else described[1]
        search = functools.partial(candidates.find, descriptor, left, right)
        blocks = candidates.blocks(*(len(one.order) for one in sets))
        found = pool.map(
            lambda block: _verify(sets[0], sets[-1], search(block)), blocks
        )
        every = list(itertools.chain.from_iterable(found))
    best: dict[tuple[int, int], Pair] = {}
    for pair in every:
        if within and pair.left > pair.right:
            pair = pair._replace(left=pair.right, right=pair.left)
        # A picture that is nearly its own mirror image is found both ways.
        known = best.setdefault(pair[:2], pair)
        best[pair[:2]] = max(known, pair, key=lambda one: one.correlation)
    return sorted(best.values())


def groups(names: Sequence[str], fingerprints: np.ndarray) -> list[str]:
    """The group of each picture, named after its smallest member.

    Groups are closed under "is a copy of": a ~ b and b ~ c puts all three together.

    Args:
      names: N different names.
      fingerprints: int8 [N, 9216], in the same order.
    """
    if not names:
        return []
    found = pairs(fingerprints)
    ends = [pair.left for pair in found], [pair.right for pair in found]
    shape = len(names), len(names)
    graph = scipy.sparse.coo_array((np.ones(len(found), bool), ends), shape=shape)
    labels = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
    smallest: dict[int, str] = {}
    for name, label in zip(names, labels, strict=True):
        smallest[label] = min(name, smallest.get(label, name))
    return [smallest[label] for label in labels]


class _Sorted:
    """A set in the order of a hash, in which everything is computed.

    So neither the order of the caller nor rounding, which differs with the place in a
    matrix product, decides what is found. Pictures of one value are left out.
    """

    def __init__(self, fingerprints: np.ndarray):
        self.fingerprints = np.asarray(fingerprints, np.int8).reshape(-1, SIDE * SIDE)
        digests = [hashlib.sha256(row).digest() for row in self.fingerprints]
        structured = np.flatnonzero(self.fingerprints.any(1))
        self.order = np.array(sorted(structured, key=digests.__getitem__), int)
        self.digests = [digests[i] for i in self.order]
        self.looks: registration.Look

    def prepare(self, pool: ThreadPoolExecutor) -> None:
        """Makes the looks of all pictures."""
        parts = np.array_split(
            np.arange(len(self.order)), -(-len(self.order) // _CHUNK)
        )
        made = pool.map(lambda part: registration.look(self.pictures(part)), parts)
        self.looks = registration.Look(*map(np.concatenate, zip(*made, strict=True)))

    def pictures(self, places: np.ndarray) -> np.ndarray:
        """float32 [n, 96, 96]."""
        rows = self.fingerprints[self.order[places]]
        return rows.reshape(-1, SIDE, SIDE).astype(np.float32)


def _sample(sets: list[_Sorted]) -> np.ndarray:
    """At most _SAMPLE fingerprints; the smallest hashes are as good as drawn by lot."""
    first = sorted(
        (digest, which, place)
        for which, one in enumerate(sets)
        for place, digest in enumerate(one.digests[:_SAMPLE])
    )[:_SAMPLE]
    return np.stack(
        [sets[w].fingerprints[sets[w].order[place]] for _, w, place in first]
    )


def _verify(left: _Sorted, right: _Sorted, found: list) -> list[Pair]:
    """The candidates that register onto each other, as indices of the caller."""
    kept = []
    for many in found:
        for at in range(0, len(many.left), _CHUNK):
            i, j, mirrored, start = (field[at : at + _CHUNK] for field in many)
            theirs = registration.mirror(right.looks.take(j), mirrored)
            near, place = registration.approach(left.looks.take(i), theirs, start)
            i, j, mirrored = i[near], j[near], mirrored[near]
            others = right.pictures(j)
            others[mirrored] = others[mirrored, :, ::-1]
            agreement = registration.settle(left.pictures(i), others, place)
            for k in np.flatnonzero(agreement > THRESHOLD):
                ends = int(left.order[i[k]]), int(right.order[j[k]])
                kept.append(Pair(*ends, float(agreement[k]), bool(mirrored[k])))
    return kept
