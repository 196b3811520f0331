"""Pytrees by name: 'layer1_0/conv1/kernel'."""

from __future__ import annotations

from typing import Any

import jax


def names(tree: Any) -> Any:
    """The same tree with each leaf replaced by its slash-separated path."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), tree
    )


def size(tree: Any) -> int:
    """Number of scalars in all leaves."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
