"""What a tree's own split folders leak from training into testing."""

import collections
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfds_builders.common.duplicates.fingerprints import pixel_hash
from tfds_builders.image_folder.tree import Picture

# Images of the former should have nothing in common with those of the latter.
_BETWEEN = {"test": ("train", "val"), "val": ("train",)}


class Digests(NamedTuple):
    """Hashes by which copies of an image are found."""

    file: str
    pixels: str


def digests_of(data: bytes, pixels: np.ndarray) -> Digests:
    """Of a file's bytes and of its decoded pixels."""
    return Digests(hashlib.sha256(data).hexdigest(), pixel_hash(pixels))


def across(pictures: Sequence[Picture], patient_of: Mapping[str, str]) -> list[Picture]:
    """Pictures whose patient, or group, has pictures in several split folders."""
    folders = collections.defaultdict(set)
    for picture in pictures:
        folders[patient_of[picture.name]].add(picture.folder)
    return [p for p in pictures if len(folders[patient_of[p.name]]) > 1]


def leaking(pictures: Sequence[Picture], patient_of: Mapping[str, str]) -> set[str]:
    """Names of pictures whose patient, or group, is also in what trains for them."""
    return {
        picture.name
        for part in _BETWEEN
        for picture in _shared(pictures, part, lambda p: patient_of[p.name])
    }


def counts(
    pictures: Sequence[Picture],
    patient_of: Mapping[str, str],
    digests: Mapping[str, Digests],
) -> dict[str, int]:
    """Copies across the split folders, for the summary.

    Args:
      digests: at least those of `across`.
    """
    known = [p for p in pictures if p.name in digests]
    found = {}
    for part in _BETWEEN:
        same_file = _shared(known, part, lambda p: digests[p.name].file)
        same_pixels = _shared(known, part, lambda p: digests[p.name].pixels)
        shared = _shared(pictures, part, lambda p: patient_of[p.name])
        found |= {
            f"copies_identical:{part}": len(same_file),
            f"copies_of_same_pixels:{part}": len(set(same_pixels) - set(same_file)),
            f"patients_across_folders:{part}": len(
                {patient_of[p.name] for p in shared}
            ),
        }
    return found


def _shared(pictures, part, key) -> list[Picture]:
    """Pictures of one folder with the key of a picture of those before it."""
    before = {key(p) for p in pictures if p.folder in _BETWEEN[part]}
    return [p for p in pictures if p.folder == part and key(p) in before]
