"""Finds copies among the images: identical or near-duplicate ones."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfds_builders.common.duplicates import pairs

# Not every pair is listed of an image that occurs very often.
_LISTED = 100


class Link(NamedTuple):
    """Two images that are copies; `left` and `right` are their indices, left < right.

    Attributes:
      identical: all pixels are equal.
      correlation: of their fingerprints, 1 if identical; `mirrored` left to right.
    """

    left: int
    right: int
    identical: bool
    correlation: float
    mirrored: bool


class Bundle(NamedTuple):
    """Images that are copies, as sets: each of `one` with each of `other`.

    `one` and `other` are the same if the images are identical.
    """

    one: np.ndarray
    other: np.ndarray
    link: Link


class Overlap(NamedTuple):
    """Images of one part with a copy in another; int [.] indices, ascending."""

    identical: np.ndarray
    near: np.ndarray


def find(pixel_hashes, fingerprints, blank) -> list[Bundle]:
    """Returns all copies among N images.

    Blank images are copies of nothing. Fingerprints are compared once for each
    distinct image.

    Args:
      pixel_hashes: [N], equal if the pixels are.
      fingerprints: [N, ...] from `duplicates.fingerprint`.
      blank: bool [N].
    """
    seen = np.flatnonzero(~np.asarray(blank))
    if not len(seen):
        return []
    _, first, which = np.unique(
        np.asarray(pixel_hashes)[seen], return_index=True, return_inverse=True
    )
    order = np.argsort(which, kind="stable")
    members = np.split(seen[order], np.cumsum(np.bincount(which))[:-1])
    bundles = [
        Bundle(same, same, Link(int(same[0]), int(same[1]), True, 1.0, False))
        for same in members
        if len(same) > 1
    ]
    for pair in pairs.pairs(np.asarray(fingerprints)[seen[first]]):
        one, other = sorted(
            (members[pair.left], members[pair.right]), key=lambda m: m[0]
        )
        ends = int(one[0]), int(other[0])
        link = Link(*ends, False, float(pair.correlation), bool(pair.mirrored))
        bundles.append(Bundle(one, other, link))
    return sorted(bundles, key=lambda bundle: bundle.link[:2])


def overlaps(bundles: list[Bundle], part: np.ndarray) -> dict[tuple, Overlap]:
    """Returns {(a, b): images of part a that have a copy in part b}, if any.

    `near` leaves out images that have an identical copy there. (a, a) are copies
    within a part.

    Args:
      part: int [N], the part of each image; negative: left out.
    """
    found = collections.defaultdict(lambda: (set(), set()))
    for bundle in bundles:
        one, other = _by_part(bundle.one, part), _by_part(bundle.other, part)
        for a, b in itertools.product(one, other):
            if bundle.link.identical and a == b and len(one[a]) == 1:
                continue  # it is not its own copy
            kind = 0 if bundle.link.identical else 1
            found[a, b][kind].update(one[a])
            found[b, a][kind].update(other[b])
    return {
        parts: Overlap(
            np.array(sorted(identical), int), np.array(sorted(near - identical), int)
        )
        for parts, (identical, near) in sorted(found.items())
    }


def links(bundles: list[Bundle]) -> Iterator[Link]:
    """Returns all pairs of copies, at most 100 for any two distinct images."""
    for bundle in bundles:
        if bundle.link.identical:
            couples = itertools.combinations(bundle.one, 2)
        else:
            couples = itertools.product(bundle.one, bundle.other)
        for left, right in itertools.islice(couples, _LISTED):
            left, right = sorted((int(left), int(right)))
            yield bundle.link._replace(left=left, right=right)


def number(bundles: list[Bundle]) -> int:
    """Counts all links, listed or not."""
    return sum(
        len(b.one) * (len(b.one) - 1) // 2
        if b.link.identical
        else len(b.one) * len(b.other)
        for b in bundles
    )


def _by_part(images: np.ndarray, part: np.ndarray) -> dict[int, list[int]]:
    members = collections.defaultdict(list)
    for image in images:
        if part[image] >= 0:
            members[int(part[image])].append(int(image))
    return members
