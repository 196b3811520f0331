"""The table of what a model holds."""

from __future__ import annotations

import re
from typing import Any

from cxr_jax import trees
from cxr_jax.state import TrainState

_TEXTS = 3  # columns, before those of numbers


def table(state: TrainState, frozen: frozenset[str] = frozenset()) -> list[str]:
    """A line for each module that holds arrays, under a head and above the sums.

    The running statistics of a batch norm stand beside its parameters.

    Args:
      state: of arrays or of shapes.
      frozen: names of the parameters that never learn.
    """
    held = _by_module(state.params)
    statistics = _by_module(state.model_state.get("batch_stats", {}))
    rows = [("module", "arrays", "type", "parameters", "statistics")]
    for module in sorted(held.keys() | statistics.keys(), key=_natural):
        arrays, beside = held.get(module, {}), trees.size(statistics.get(module, {}))
        shapes = [
            f"{name} {'x'.join(map(str, leaf.shape))}" for name, leaf in arrays.items()
        ]
        types = sorted({leaf.dtype.name for leaf in arrays.values()})
        counts = (f"{trees.size(arrays):,}", f"{beside:,}" if beside else "")
        rows.append((module, ", ".join(shapes), ", ".join(types), *counts))
    sums = (f"{trees.size(tree):,}" for tree in (state.params, state.model_state))
    learning = sum(
        leaf.size
        for name, leaf in trees.by_name(state.params).items()
        if name not in frozen
    )
    title = f"total, {learning:,} trained" if frozen else "total, all trained"
    rows.append((title, "", "", *sums))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in rows]


def _by_module(tree: Any) -> dict[str, dict[str, Any]]:
    """{'layer1_0/conv1': {'kernel': leaf}}."""
    found: dict[str, dict[str, Any]] = {}
    for path, leaf in trees.by_name(tree).items():
        module, _, name = path.rpartition("/")
        if not module:  # of the network itself, as a class token
            module, name = path, "array"
        found.setdefault(module, {})[name] = leaf
    return found


def _natural(name: str) -> list[str | int]:
    # 'layer2' before 'layer10'. Texts and numbers take turns.
    parts = re.split(r"(\d+)", name)
    return [int(part) if k % 2 else part for k, part in enumerate(parts)]


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    return [
        text.ljust(width) if k < _TEXTS else text.rjust(width)
        for k, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
