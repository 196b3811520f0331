"""A BrixIA release as a program sees it that does not look at the polarity of films.

    python -m docs.make.polarity_films BrixIA BrixIA_ignored
    python -m docs.make.polarity_films BrixIA BrixIA_severe severe

Copies the release and changes one tag. Without a third argument every MONOCHROME1 film is
called MONOCHROME2, and its pixels stay: bone is black in it from then on, as for a program
that takes all films for MONOCHROME2. With `severe` the films above the median of the global
score, and only these, get the other of the two tags: polarity then goes with severity, as
if the bedside unit of the worst cases wrote MONOCHROME1. Of configs/ablations/polarity.py.
"""

from __future__ import annotations

import csv
import pathlib
import shutil
import statistics
import sys

import pydicom

OTHER = {"MONOCHROME1": "MONOCHROME2", "MONOCHROME2": "MONOCHROME1"}


def severe(release: pathlib.Path) -> set[str]:
    """Names of the films above the median of the global score."""
    table = next(release.glob("metadata_global_v*.csv"))
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    scores = {row["Filename"]: int(row["BrixiaScoreGlobal"]) for row in rows}
    median = statistics.median(scores.values())
    return {name for name, score in scores.items() if score > median}


def main(release: pathlib.Path, out: pathlib.Path, only: set[str] | None) -> int:
    """Writes `out`; returns how many films are negatives in it.

    only: names of the films that are to be negatives; None for those that are stored
      as MONOCHROME1.
    """
    shutil.copytree(release, out)
    changed = 0
    for path in sorted((out / "dicom_clean").glob("*.dcm")):
        film = pydicom.dcmread(path)
        tag = film.PhotometricInterpretation
        if (path.name in only) if only is not None else (tag == "MONOCHROME1"):
            film.PhotometricInterpretation = OTHER[tag]
            film.save_as(path)
            changed += 1
    return changed


if __name__ == "__main__":
    source, target = map(pathlib.Path, sys.argv[1:3])
    negatives = severe(source) if sys.argv[3:] == ["severe"] else None
    print(f"{main(source, target, negatives)} films are negatives in {target}")
