r"""Patients from the names of files and folders: suggested here, taken by the user.

A name is evidence of nothing: `image_12_3` may be film 3 of patient 12 or of page 12.
So a builder counts what each pattern would find and uses one only if it is told to:
`--patients_from='/(person\d+)_'`.
"""

import collections
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tfds_builders.common.errors import InputError

FLAG = "--patients_from"
# Searched in '/' and the path inside the release. Kermany et al.'s children, CheXpert,
# MIMIC-CXR, NIH ChestX-ray14, BIDS; then any name that begins with two numbers.
_KNOWN = (
    r"/(person\d+)_",
    r"/(?:NORMAL2-)?(IM-\d+)-",
    r"/(patient\d+)/",
    r"/(p\d{8})/",
    r"/(\d{8})_\d{3}\.",
    r"/(sub-[A-Za-z0-9]+)[_/]",
)
_ANY_NAME = r"/([^/\d]*\d+)[ _-]+[^/]*\d[^/]*$"
_ANY_FOLDER = r"/([^/]+)/[^/]+$"  # of trees with folders inside the class folders
# A pattern is not suggested below this share of the films, or where one patient would
# have more than this share of what it finds (but a few films are always allowed).
_LEAST, _LARGEST, _FEW = 0.02, 0.1, 12


class Candidate(NamedTuple):
    """A pattern, how many films it names a patient of, and how many patients."""

    pattern: str
    films: int
    patients: int


def suggestions(files: Sequence[str], nested: Sequence[bool]) -> list[Candidate]:
    """Patterns that give several films to a patient; all together first.

    Args:
      files: paths inside the release, with /.
      nested: of each, whether it lies in a folder inside its class folder.
    """
    found, left = [], set(range(len(files)))
    for pattern in (*_KNOWN, _ANY_NAME, _ANY_FOLDER):
        names = {}
        for k in sorted(left):
            if pattern != _ANY_FOLDER or nested[k]:
                patient = _patient(re.compile(pattern), files[k])
                if patient:
                    names[k] = patient
        sizes = collections.Counter(names.values())
        if (
            len(names) >= max(_LEAST * len(files), 2)
            and 1 < len(sizes) < len(names)
            and max(sizes.values()) <= max(_LARGEST * len(names), _FEW)
        ):
            found.append(Candidate(pattern, len(names), len(sizes)))
            left -= names.keys()
    if len(found) > 1:
        together = "|".join(candidate.pattern for candidate in found)
        sums = (sum(c.films for c in found), sum(c.patients for c in found))
        found.insert(0, Candidate(together, *sums))
    return found


def from_names(pattern: str, file_of: Mapping[str, str]) -> dict[str, str]:
    """{example_id: patient}: the first group of the pattern that took part.

    Args:
      file_of: path inside the release of each example_id.

    Errors: InputError for a pattern that cannot be used, or that finds nobody.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(
            FLAG,
            f"{pattern!r} is not a regular expression ({error})",
            r"For example --patients_from='/(person\d+)_' (see Python's re).",
        ) from None
    if not compiled.groups:
        raise InputError(
            FLAG,
            f"{pattern!r} has no group",
            r"Put the patient into brackets: --patients_from='/(person\d+)_'.",
        )
    patients = {name: _patient(compiled, file) for name, file in file_of.items()}
    patients = {name: patient for name, patient in patients.items() if patient}
    if not patients:
        example = next(iter(file_of.values()), "")
        raise InputError(
            FLAG,
            f"{pattern!r} names the patient of none of {len(file_of):,} images",
            f"It is searched in paths like /{example}.",
        )
    return patients


def advice(found: Iterable[Sequence]) -> str:
    """What a person should know of a dataset without patients, with the suggestions."""
    unknown = (
        "No patients are known: films of one person may be in train and in test, and "
        "only copies are kept together."
    )
    lines = [unknown]
    rows = [Candidate(*row) for row in found]
    if not rows:
        lines.append("If you know them, write patients.csv (see README.md).")
        return "\n".join(lines)
    lines.append("The names of the files may tell; to use one of these, build again:")
    width = max(len(row.pattern) for row in rows)
    lines += [
        f"  {FLAG}='{row.pattern}'{' ' * (width - len(row.pattern))}  "
        f"{row.films:,} films of {row.patients:,} patients"
        for row in rows
    ]
    return "\n".join(lines)


def _patient(pattern: re.Pattern, file: str) -> str:
    match = pattern.search(f"/{file}")
    return next(filter(None, match.groups()), "") if match else ""
