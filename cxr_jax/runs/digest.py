"""Arrays by name, and their digests: what is read is what was saved, bit for bit."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np

from cxr_jax import trees
from tfds_builders.common.errors import InputError


def host_copy(tree: Any) -> dict[str, np.ndarray]:
    """The leaves by name, in memory that no device shares.

    On the CPU, jax hands out its own buffer as a numpy array, and a step to which the
    state is donated overwrites it: so the copy has to be a real one.
    """
    named = trees.by_name(tree)
    for leaf in named.values():  # all transfers at once, where there is one
        if isinstance(leaf, jax.Array):
            leaf.copy_to_host_async()
    return {n: np.array(leaf, copy=True, order="C") for n, leaf in named.items()}


def shapes(named: dict[str, Any]) -> dict[str, list]:
    """{name: [dtype, shape]} of arrays or abstract arrays, as JSON has it."""
    return {n: [str(leaf.dtype), list(leaf.shape)] for n, leaf in named.items()}


def of(named: dict[str, np.ndarray]) -> dict[str, str]:
    """{name: digest} over dtype, shape and bytes."""
    return {
        name: _hash(json.dumps(kind).encode(), _bytes(named[name]))
        for name, kind in shapes(named).items()
    }


def check_fit(
    folder: pathlib.Path, saved: dict[str, list], wanted: dict[str, list]
) -> None:
    """Refuses a checkpoint whose `shapes` are not those of the run, with the difference.

    Args:
      folder: of the checkpoint.
      saved, wanted: of `shapes`.
    """
    if saved == wanted:
        return
    lines = []
    for name in sorted(saved.keys() | wanted.keys()):
        for sign, side, other in (("-", saved, wanted), ("+", wanted, saved)):
            if name in side and side[name] != other.get(name):
                dtype, shape = side[name]
                lines.append(f"{sign} {name} {dtype}{shape}")
    if len(lines) > 10:
        lines[10:] = [f"and {len(lines) - 10} more"]
    raise InputError(
        folder,
        "the checkpoint (-) is of another model, optimiser or version of cxr_jax than "
        "this run (+):\n  " + "\n  ".join(lines),
        "give the config it was trained with, or train in a new --workdir",
    )


def _hash(*parts: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
