"""Pytrees by name: 'layer1_0/conv1/kernel'."""

from __future__ import annotations

from typing import Any

import jax


def names(tree: Any) -> Any:
    """The same tree with each leaf replaced by its slash-separated path."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), tree
    )


def by_name(tree: Any) -> dict[str, Any]:
    """Returns {'params/head/kernel': leaf} in the order of the leaves."""
    leaves = jax.tree.leaves(tree)
    named = dict(zip(jax.tree.leaves(names(tree)), leaves, strict=True))
    if len(named) < len(leaves):
        raise ValueError("two leaves have the same name")
    return named


def size(tree: Any) -> int:
    """Number of scalars in all leaves."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
