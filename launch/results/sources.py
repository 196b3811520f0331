"""COVID-19 or another finding, with the sources of the films kept apart.

Cohen's collection has both classes from Radiopaedia and from Eurorad. So a model may be
trained on the one and tested on the other, whose films come from other hospitals, and
neither set gives away the class by its source alone. Three folders for the builder
`image_folder`, each with COVID/ and other/:

  mixed/    all sources but Eurorad that have both classes: Radiopaedia, Hannover
  pooled/   the same and sources of one class: journals (COVID-19), NIH's adults (other)
  eurorad/  the external test

Lateral films are left out, and so are Kermany's, which are of children. Films whose
finding is still `todo` in the table take it from the title of the published case.
"""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from tfds_builders.common.errors import InputError
from tfds_builders.common.tables import read_csv

FOLDERS = ("mixed", "pooled", "eurorad")
# What --patients_from takes the patient from.
PATIENTS_FROM = "/([a-z]+-[^_/]+)_"
COHEN, NIH = "covid-chestxray-dataset", "NIH-ChestX-ray14"
# Hosts of the table with films of both classes, as they are called here.
_BOTH = {"radiopaedia": "radiopaedia", "github": "hannover"}


class _Film(NamedTuple):
    """A film: its file, the source, the patient in that source, and the class."""

    path: pathlib.Path
    source: str
    patient: str
    label: str


def write(releases: pathlib.Path, target: pathlib.Path) -> None:
    """Writes the three folders, complete or not at all.

    Args:
      releases: the folder that holds Cohen's collection, and NIH's sample if there.
      target: its parent is there; replaced if it was left half written.

    Raises:
      InputError: Cohen's collection is not there, or a table is damaged.
    """
    films = list(_cohen(releases / COHEN))
    outside = {film.patient for film in films if film.source == "eurorad"}
    films = [f for f in films if f.source == "eurorad" or f.patient not in outside]
    if (releases / NIH).is_dir():
        films += _nih(releases / NIH)
    half = target.with_name(f".{target.name}.partial")
    shutil.rmtree(half, ignore_errors=True)
    for film in films:
        name = f"{film.source}-{film.patient}_{film.path.name}"
        for folder in _folders(film.source):
            place = half / folder / film.label / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(film.path, place)
    half.rename(target)


def _folders(source: str) -> tuple[str, ...]:
    if source == "eurorad":
        return ("eurorad",)
    return ("mixed", "pooled") if source in _BOTH.values() else ("pooled",)


def _cohen(folder: pathlib.Path) -> Iterator[_Film]:
    """The frontal films of the collection, by the host of their page."""
    if not folder.is_dir():
        raise InputError(
            folder, "there is no such folder", "see covid_chestxray/README.md"
        )
    for row in read_csv(folder / "metadata.csv", ("filename", "finding", "url")):
        path = folder / "images" / row["filename"]
        if row["view"].startswith(("PA", "AP")) and path.is_file():
            host = (urlsplit(row["url"]).hostname or "").removeprefix("www.")
            name = host.split(".")[0]
            source = _BOTH.get(name, "eurorad" if name == "eurorad" else "journals")
            yield _Film(path, source, row["patientid"], _label(row))


def _label(row: dict[str, str]) -> str:
    finding = row["finding"]
    text = row["url"] if finding.strip().lower() in ("", "todo") else finding
    return "COVID" if "covid" in text.lower() else "other"


def _nih(folder: pathlib.Path) -> Iterator[_Film]:
    """NIH's films of adults, which are older than COVID-19."""
    columns = ("Image Index", "Patient ID", "Patient Age")
    for row in read_csv(folder / "Data_Entry_2017_v2020.csv", columns):
        path = folder / "images" / row["Image Index"]
        if path.is_file() and int(row["Patient Age"].rstrip("Y")) >= 18:
            yield _Film(path, "nih", row["Patient ID"], "other")
