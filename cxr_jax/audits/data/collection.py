"""All images under audit, numbered through, and the copies among them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.audits.data import findings
from cxr_jax.audits.data.dataset import Dataset
from cxr_jax.audits.data.findings import TRAINED_ON
from cxr_jax.audits.verdicts import Verdict
from cxr_jax.data import copies
from cxr_jax.data.copies import Bundle, Link
from cxr_jax.data.fingerprints import Pictures

# What two copies have between them; the first two are leakage.
KINDS = ("across splits", "in an external test", "across datasets", "within a split")


class Collection(NamedTuple):
    """Datasets, one after the other.

    Attributes:
      datasets: those that are audited, then external test sets.
      pictures: of each of them.
      places: of each of them, the numbers of its images among all.
      bundles: the copies among all images.
    """

    datasets: list[Dataset]
    pictures: list[Pictures]
    places: list[slice]
    bundles: list[Bundle]

    @property
    def audited(self) -> list[int]:
        """Positions of the datasets that are not external test sets."""
        return [k for k, one in enumerate(self.datasets) if not one.tested]

    def find(self, image: int) -> tuple[Dataset, int]:
        """The dataset of an image, and its row there."""
        k = next(k for k, place in enumerate(self.places) if image < place.stop)
        return self.datasets[k], image - self.places[k].start

    def copies_within(self, k: int) -> list[tuple[int, int]]:
        """The links of one dataset, by its own rows."""
        place = self.places[k]
        return [
            (link.left - place.start, link.right - place.start)
            for link in copies.links(self.bundles)
            if place.start <= link.left and link.right < place.stop
        ]


def collect(datasets: list[Dataset], shown: list[Pictures]) -> Collection:
    """Numbers the images and looks for copies."""
    ends = np.cumsum([0, *(one.size for one in datasets)]).tolist()
    bundles = copies.find(
        np.concatenate([some.pixel_hash for some in shown]),
        np.concatenate([some.fingerprint for some in shown]),
        np.concatenate([some.blank for some in shown]),
    )
    places = [slice(*both) for both in itertools.pairwise(ends)]
    return Collection(datasets, shown, places, bundles)


def find_all(collection: Collection, allowed: Sequence[str]) -> list[Verdict]:
    """Every verdict on leakage and copies, what weighs most first."""
    datasets, _, places, bundles = collection
    found = []
    for k in collection.audited:
        found += findings.shared_patients(datasets[k])
        found += findings.across_splits(datasets[k], bundles, places[k])
        found += findings.different_labels(datasets[k], bundles, places[k])
        found += findings.blank_images(datasets[k], collection.pictures[k].blank)
    for j, k in itertools.combinations(range(len(datasets)), 2):
        if not datasets[j].tested:
            found += findings.across_datasets(
                datasets[j], datasets[k], bundles, (places[j], places[k])
            )
    return findings.allow(found, allowed)


def pairs(collection: Collection) -> list[tuple[str, Link]]:
    """(kind, link) of all copies; by kind, and the most alike of a kind first.

    Copies among external test sets are left out: they are only tested on.
    """
    found = []
    for link in copies.links(collection.bundles):
        kind = _kind(collection, link)
        if kind:
            found.append((kind, link))
    return sorted(
        found,
        key=lambda pair: (
            KINDS.index(pair[0]),
            not pair[1].identical,
            -pair[1].correlation,
            pair[1][:2],
        ),
    )


def overlaps(collection: Collection, by_split: bool) -> list[dict[str, Any]]:
    """How many images of each part have copies in which, as JSON values.

    Copies among external test sets are left out.

    Args:
      by_split: parts are 'covidgr/512:train', else whole datasets; then those within
        a dataset are left out.
    """
    names, tested, part = [], [], np.zeros(collection.places[-1].stop, int)
    for one, place in zip(collection.datasets, collection.places, strict=True):
        own = [f"{one.name}:{s}" for s in one.splits] if by_split else [one.name]
        which = [list(one.splits).index(s) for s in one.split] if by_split else 0
        part[place] = len(names) + np.array(which)
        names += own
        tested += [bool(one.tested)] * len(own)
    return [
        {
            "images_of": names[a],
            "in": names[b],
            "identical": len(found.identical),
            "near_duplicates": len(found.near),
            "of": int((part == a).sum()),
        }
        for (a, b), found in copies.overlaps(collection.bundles, part).items()
        if (by_split or a != b) and not (tested[a] and tested[b])
    ]


def _kind(collection: Collection, link: Link) -> str:
    (one, left), (other, right) = (collection.find(image) for image in link[:2])
    if one.tested and other.tested:
        return ""
    if one is other:
        same = one.split[left] == one.split[right]
        return "within a split" if same else "across splits"
    tested = other.tested and other.split[right] == other.tested
    if tested and one.split[left] in TRAINED_ON:
        return "in an external test"
    return "across datasets"
