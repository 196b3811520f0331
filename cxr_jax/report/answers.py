"""Answers to checklist items, and the phrases that they are made of."""

from __future__ import annotations

import collections
import shlex
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.audits import verdicts
from cxr_jax.audits.verdicts import Verdict
from cxr_jax.data import attributes
from cxr_jax.metrics.registry import metric
from cxr_jax.report import headline
from cxr_jax.report.material import Material

STATUSES = ANSWERED, PARTLY, OPEN = "answered", "partly", "open"
# The most values of a column that are listed.
_SHOWN = 4


class Answer(NamedTuple):
    """A fact, or what is missing.

    Attributes:
      status: 'answered'; 'partly', so the author has to add to it; 'open', so nothing
        is known.
      text: sentences.
      link: the section of the page that shows it, '' if none does.
    """

    status: str
    text: str
    link: str = ""


def listed(names: Iterable[str]) -> str:
    """['a', 'b', 'c'] -> 'a, b and c'."""
    names = list(names)
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def command(material: Material, arguments: str) -> str:
    """The command that would answer an item; RUN stands for the workdir."""
    workdir = shlex.quote(str(material.workdir))
    return "python -m cxr_jax.main " + arguments.replace("RUN", workdir)


def figure(material: Material, name: str) -> str:
    """'AUROC 0.842 (0.801 to 0.876), n 214' on test, from results.json."""
    estimate = headline.estimates(material, "test")[name]
    return f"{metric(name).label} {estimate.text()}, n {estimate.n:,}"


def headlines(material: Material) -> str:
    """The headline metrics, in words."""
    found = headline.headlines(material)
    return "; ".join(figure(material, each.metric) for each in found)


def sentences(found: Iterable[Verdict], kinds: Iterable[str]) -> str:
    """The verdicts of some kinds, in words."""
    kinds = tuple(kinds)
    return " ".join(verdicts.words(each) for each in found if each.kind in kinds)


def spread(column: Any) -> str:
    """'PA 30, AP 12, 3 unknown'; for numbers the median."""
    absent = attributes.missing(column)
    known = [value for value, gone in zip(column, absent, strict=True) if not gone]
    parts = []
    if isinstance(column, list):
        ranked = collections.Counter(known).most_common()
        parts = [f"{value} {number:,}" for value, number in ranked[:_SHOWN]]
        if len(ranked) > _SHOWN:
            parts.append(f"{len(ranked) - _SHOWN} more values")
    elif known:
        parts = [f"median {np.median(known):g}"]
    if absent.any():
        parts.append(f"{absent.sum():,} unknown")
    return ", ".join(parts)


def known(columns: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Those of the names that are columns with at least one value."""
    return [
        name
        for name in names
        if name in columns and not attributes.missing(columns[name]).all()
    ]
