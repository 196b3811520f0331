"""What is known about an image besides its pixels, such as source, view, sex or age."""

from __future__ import annotations

import collections
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

MISSING = "missing"
OTHERS = "others"
# Of more categories the rarest are pooled; a number with at most this many values is
# treated as categories.
MOST_CATEGORIES = 20
_FEW_VALUES = 10
# Words in the names of columns that identify an image, its split, or repeat its label.
_NAMES = ("id", "uid", "name", "file", "filename")
_SPLITS = ("split", "fold")
_OUTCOMES = (
    "label",
    "labels",
    "finding",
    "findings",
    "diagnosis",
    "severity",
    "score",
    "scores",
    "consensus",
    "geographic",
    "opacity",
)


class Attribute(NamedTuple):
    """A column, either of categories or of numbers.

    Attributes:
      name: of the column.
      numbers: float64 [N], NaN where missing; None for categories.
      codes: int [N] into `categories`; None for numbers.
      categories: their names, 'missing' among them.
      missing: bool [N].
      others: how many rare categories are pooled as `others`.
    """

    name: str
    numbers: np.ndarray | None
    codes: np.ndarray | None
    categories: tuple[str, ...]
    missing: np.ndarray
    others: int = 0


class LeftOut(NamedTuple):
    """A column that is no attribute.

    Attributes:
      why: in words.
      always: the only value of it, where that is the reason.
    """

    why: str
    always: str | None = None


def of_table(
    table: dict[str, Any], label_names: dict[str, Any]
) -> tuple[list[Attribute], dict[str, LeftOut]]:
    """Returns the attributes of N images, and {column: why it is left out}.

    Whether a number is missing is an attribute too: it may reveal more than the number.

    Args:
      table: columns of N rows.
      label_names: {column: names} of the class labels.
    """
    found, left_out = [], {}
    for name, column in sorted(table.items()):
        reason = _no_attribute(name, column, label_names)
        if reason:
            left_out[name] = LeftOut(reason)
            continue
        attribute = _attribute(name, column)
        if isinstance(column, list) and attribute.others > len(column) / 2:
            left_out[name] = LeftOut("nearly every image has its own")
        elif attribute.numbers is None and len(attribute.categories) < 2:
            only = " ".join(attribute.categories)
            left_out[name] = LeftOut(f"always {only}", only)
        else:
            found.append(attribute)
            if attribute.numbers is not None and attribute.missing.any():
                found.append(_whether_missing(attribute))
    return found, left_out


def of_pictures(height: np.ndarray, width: np.ndarray) -> list[Attribute]:
    """Attributes from the shape of the stored images: int [N] each."""
    shape = {
        "stored_height": height,
        "stored_width": width,
        "stored_aspect": width / height,
    }
    return of_table(shape, {})[0]


def missing(column) -> np.ndarray:
    """bool [N]: '', NaN, or -1 where that is the only negative whole number."""
    if isinstance(column, list):
        return np.array([value == "" for value in column])
    column = np.asarray(column)
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "i" and column.size and column.min() == -1:
        return column == -1
    return np.zeros(column.shape, bool)


def features(attribute: Attribute) -> np.ndarray:
    """float32 [N, F] for a tree: a column per category, or the number.

    A missing number is smaller than all others.
    """
    if attribute.numbers is None:
        return np.eye(len(attribute.categories), dtype=np.float32)[attribute.codes]
    lowest = np.nanmin(attribute.numbers)
    numbers = np.where(attribute.missing, lowest - 1, attribute.numbers)
    return numbers.astype(np.float32)[:, None]


def _no_attribute(name: str, column, label_names) -> str:
    words = name.lower().split("_")
    if words[-1] in _NAMES:
        return "identifies the image"
    if set(words) & set(_SPLITS):
        return "names a split"
    if name in label_names or set(words) & set(_OUTCOMES):
        return "repeats the label"
    if np.ndim(column) > 1:
        return "has more than one value per image"
    return ""


def _attribute(name: str, column) -> Attribute:
    absent = missing(column)
    if isinstance(column, list):
        codes, categories, others = _categories(_hosts(column), absent)
        return Attribute(name, None, codes, categories, absent, others)
    numbers = np.where(absent, np.nan, np.asarray(column, np.float64))
    known = np.unique(numbers[~absent])
    if len(known) <= _FEW_VALUES:
        codes, categories, _ = _categories([f"{v:g}" for v in numbers], absent)
        return Attribute(name, None, codes, categories, absent)
    return Attribute(name, numbers, None, (), absent)


def _whether_missing(attribute: Attribute) -> Attribute:
    return Attribute(
        f"{attribute.name} missing",
        None,
        attribute.missing.astype(int),
        ("known", MISSING),
        attribute.missing,
    )


def _categories(values: Sequence[str], absent) -> tuple[np.ndarray, tuple, int]:
    """Codes and names by decreasing frequency; then the rare ones, then the missing."""
    counts = collections.Counter(
        value for value, gone in zip(values, absent, strict=True) if not gone
    )
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    pooled = len(ranked) - MOST_CATEGORIES + 1 if len(ranked) > MOST_CATEGORIES else 0
    names = ranked[: len(ranked) - pooled]
    code = {value: k for k, value in enumerate(names)}
    names += [OTHERS] if pooled else []
    code |= dict.fromkeys(ranked[len(ranked) - pooled :], len(names) - 1)
    names += [MISSING] if np.any(absent) else []
    codes = [
        len(names) - 1 if gone else code[value]
        for value, gone in zip(values, absent, strict=True)
    ]
    return np.array(codes, int), tuple(names), pooled


def _hosts(values: list[str]) -> list[str]:
    """Replaces URLs by their hosts where there are too many distinct ones.

    Two collections may share a host, so whole URLs are better while there are few.
    """
    if len(set(values)) <= MOST_CATEGORIES:
        return values
    return [
        re.sub(r"^https?://(www\.)?([^/?#\s]+).*$", r"\2", v, flags=re.DOTALL)
        for v in values
    ]
