"""Is it as good for everyone: the headline figure in every group that is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cxr_jax import bootstrap
from cxr_jax.audits import attributes
from cxr_jax.bootstrap import Estimate

# A group of fewer images says nothing.
LEAST = 20
BINS = 3


class Group(NamedTuple):
    """One value of one attribute.

    Attributes:
      attribute, name: as 'sex', 'F'.
      images: how many.
      estimate: of the figure within it.
      gap: what it is less than in all other images, with the interval of that.
    """

    attribute: str
    name: str
    images: int
    estimate: Estimate
    gap: Estimate


def groups(
    table: dict[str, Any],
    label_names: dict[str, Any],
    figure: Callable[[np.ndarray], np.ndarray],
    counts: np.ndarray,
) -> list[Group]:
    """Every group of at least LEAST images, attribute by attribute.

    Args:
      table, label_names: of a `source.Split`.
      figure: weights [R, N] -> [R].
      counts: of `bootstrap.weights`; a group has those of its own images.
    """
    found = []
    for attribute in attributes.of_table(table, label_names)[0]:
        for name, members in _members(attribute):
            if min(members.sum(), (~members).sum()) < LEAST:
                continue
            inside = bootstrap.replicates(lambda w, m=members: figure(w * m), counts)
            outside = bootstrap.replicates(lambda w, m=members: figure(w * ~m), counts)
            images = int(members.sum())
            reason = "not defined in the group"
            found.append(
                Group(
                    attribute.name,
                    name,
                    images,
                    bootstrap.summary(inside, images, undefined=reason),
                    bootstrap.summary(outside - inside, images, undefined=reason),
                )
            )
    return found


def _members(attribute: attributes.Attribute):
    """(name, bool [N]) of each category, or of thirds of the known numbers."""
    if attribute.numbers is None:
        for code, name in enumerate(attribute.categories):
            yield name, attribute.codes == code
        return
    known = attribute.numbers[~attribute.missing]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
    for low, high in itertools.pairwise(edges):
        is_last = high == edges[-1]
        below = attribute.numbers <= high if is_last else attribute.numbers < high
        yield f"{low:g} to {high:g}", (attribute.numbers >= low) & below
    if attribute.missing.any():
        yield attributes.MISSING, attribute.missing
