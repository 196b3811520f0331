"""What a prepared dataset is: digests of its pixels and of its files.

The pixels of an example are hashed where they are read, so the digest of a split does
not depend on the number of workers, on Beam or on how OpenCV writes a PNG.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tfds_builders.common import files
from tfds_builders.common.duplicates.fingerprints import pixel_hash

_PNG = b"\x89PNG"


def pictures_digest(features: Mapping[str, Any]) -> str:
    """Of the values of all pictures (PNG bytes) among the features of an example."""
    digest = hashlib.sha256()
    for name in sorted(features):
        value = features[name]
        if isinstance(value, bytes) and value.startswith(_PNG):
            stored = np.frombuffer(value, np.uint8)
            pixels = cv2.imdecode(stored, cv2.IMREAD_UNCHANGED)
            digest.update(f"{name} {pixel_hash(pixels)}\n".encode())
    return digest.hexdigest()


def split_digest(pixels: Mapping[str, str], names: Iterable[str]) -> str:
    """Of a split: its example_ids, in any order, each with its pictures."""
    lines = sorted(f"{name}\0{pixels[name]}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def shards(folder: Path) -> dict[str, dict[str, Any]]:
    """{file: {'bytes', 'sha256'}} of the records of a dataset."""
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
        for path in sorted(Path(folder).glob("*.array_record*"))
    }


def changed_shards(folder: Path, stored: Mapping[str, Any], whole: bool) -> str:
    """What is wrong with the files of a dataset; '' if nothing is.

    Args:
      stored: of `shards`, when it was built.
      whole: read all of them; else only their sizes are compared.
    """
    for name, expected in stored.items():
        path = Path(folder) / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != expected["bytes"]:
            return (
                f"{name} has {path.stat().st_size:,} bytes instead of "
                f"{expected['bytes']:,}: it is truncated, or of another build"
            )
        if whole and files.sha256(path) != expected["sha256"]:
            return f"{name} was changed since it was built (its SHA-256 differs)"
    return ""
