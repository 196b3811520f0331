"""Which examples and patients a run was trained, selected and tested on: `splits.json`.

Its data may have moved, and other data may lie where they were.
"""

from __future__ import annotations

import json
import pathlib
from typing import NamedTuple

from cxr_jax.data import roles
from tfds_builders.common import files, forms

_NAME = "splits.json"
_FORM = {role: {"examples": list, "patients": list} for role in roles.ROLES}


class Ids(NamedTuple):
    """Those of one role."""

    examples: frozenset[str]
    patients: frozenset[str]


def save(workdir: pathlib.Path, splits: roles.Splits) -> None:
    """Writes them, sorted."""
    tables = {role: getattr(splits, role).table for role in roles.ROLES}
    content = {
        role: {
            "examples": sorted(map(str, table["example_id"])),
            "patients": sorted(set(map(str, table["patient_id"]))),
        }
        for role, table in tables.items()
    }
    files.write_text(workdir / _NAME, json.dumps(content, indent=0) + "\n")


def read(workdir: pathlib.Path) -> dict[str, Ids] | None:
    """{role: Ids}; None of a run of an earlier version.

    Raises:
      InputError: the file is damaged.
    """
    path = workdir / _NAME
    if not path.exists():
        return None
    content = forms.read(path, _FORM, missing=forms.RESTORE)
    return {
        role: Ids(*(frozenset(map(str, found[k])) for k in ("examples", "patients")))
        for role, found in content.items()
        if role in roles.ROLES
    }
