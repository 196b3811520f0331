"""Whether runs may stand in one table, average or sweep."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from tfds_builders.common.errors import InputError

# Stands for a value that may differ.
FREE = object()


def check(
    runs: Mapping[str, Mapping[str, Any]],
    hint: str,
    where: str | pathlib.Path = "--runs",
) -> None:
    """Refuses runs that differ in what they should share.

    Args:
      runs: {name: {what: value}}; FREE is not compared, and a missing value is one that
        differs.
      hint: what to do about runs that differ.
      where: the flag or the folder that named the runs.

    Raises:
      InputError: every difference, with the runs of each value.
    """
    differences = []
    for what in sorted({key for facts in runs.values() for key in facts}):
        values: dict[str, list[str]] = {}
        for name, facts in runs.items():
            if facts.get(what) is not FREE:
                value = repr(facts[what]) if what in facts else "absent"
                values.setdefault(value, []).append(name)
        if len(values) > 1:
            differences += [
                f"{what} = {value} in {'; '.join(names)}"
                for value, names in values.items()
            ]
    if differences:
        raise InputError(where, "the runs differ:\n  " + "\n  ".join(differences), hint)
