"""What the test of a run shares with what it was trained and chosen on."""

from __future__ import annotations

import itertools
import pathlib
from typing import NamedTuple

from cxr_jax.data.roles import ROLES
from cxr_jax.runs import results_file
from tfds_builders.common import forms

_AGAIN = "remove it, and run the same command again"
_SPLITS = {role: {"examples": list} for role in ROLES}
_SHARED = {"shared_patients": forms.Each(int)}


class Leaks(NamedTuple):
    """Of one run; nothing where all counts are 0.

    Attributes:
      films: {'train-test': films that are in both}, also of train-val and val-test.
      patients: the same of patients, or of what stands for them.
      tested: films of the test.
    """

    films: dict[str, int]
    patients: dict[str, int]
    tested: int


def of(run: pathlib.Path) -> Leaks:
    """From the lists of films and the result that a finished run left.

    Raises:
      InputError: one of both files is missing or damaged.
    """
    path = run / "splits.json"
    splits = forms.read(path, _SPLITS, missing=_AGAIN, damaged=_AGAIN)
    names = {role: set(splits[role]["examples"]) for role in ROLES}
    films = {
        f"{one}-{other}": len(names[one] & names[other])
        for one, other in itertools.combinations(ROLES, 2)
    }
    path = run / "results.json"
    content = results_file.read(path, _SHARED, missing=_AGAIN, damaged=_AGAIN)
    return Leaks(films, content["shared_patients"], len(names["test"]))


def words(found: Leaks, unit: str) -> list[str]:
    """'214 of 214 test films were trained on', and so on; nothing where there is none.

    unit: 'patients', or what stands for them.
    """
    lines = []
    of_test = f"of {found.tested:,} test films"
    if count := found.films.get("train-test"):
        lines.append(f"{count:,} {of_test} were trained on")
    elif count := found.patients.get("train-test"):
        lines.append(f"{count:,} {unit} of test were trained on")
    if count := found.films.get("val-test"):
        lines.append(f"chosen on {count:,} {of_test}")
    elif count := found.patients.get("val-test"):
        lines.append(f"chosen on {count:,} {unit} of test")
    return lines
