"""The public films with Brixia scores, with their patients; and lung masks of others."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Callable

from cxr_jax.rng import generator
from tfds_builders import build
from tfds_builders.brixia_public.layout import IMAGES, is_release
from tfds_builders.brixia_public.table import TABLE
from tfds_builders.common import files, images, places
from tfds_builders.common.errors import InputError
from tfds_builders.covid_chestxray.table import TABLE as METADATA

_SCORED, _COHEN = "Brixia-score-COVID-19", "covid-chestxray-dataset"
_AGAIN = "download the collection again"
# Collections that may lie beside the scored films, and what of them is frontal.
_FRONTAL = (
    "NIH-ChestX-ray14*/images",
    "COVID-19_Radiography_Dataset*/COVID/images",
)
_EACH = 60  # films
_MASKS = pathlib.Path("annotations") / "lungVAE-masks"


def scored(given: str) -> pathlib.Path:
    """The release of the scores at `--brixia`, or within that folder.

    Raises:
      InputError: it is not there.
    """
    return _found("brixia", given, _SCORED, is_brixia, f"{TABLE} and {IMAGES}/")


def collection(given: str) -> pathlib.Path:
    """Cohen's collection at `--cohen`, or within that folder.

    Raises:
      InputError: it is not there, or without lung masks.
    """
    return _found("cohen", given, _COHEN, is_cohen, f"{METADATA} and {_MASKS}/")


def is_brixia(folder: pathlib.Path) -> bool:
    """Whether it is the release, or its folder data."""
    return is_release(folder) or is_release(folder / "data")


def is_cohen(folder: pathlib.Path) -> bool:
    """Whether it is Cohen's collection with lung masks."""
    return (folder / METADATA).is_file() and (folder / _MASKS).is_dir()


def _found(
    flag: str, given: str, name: str, is_one: Callable[..., bool], content: str
) -> pathlib.Path:
    if not given:
        raise InputError(f"--{flag}", "is not given", f"give the folder {name}")
    folder = places.expanded(given).absolute()
    for each in (folder, *sorted(folder.glob(f"{name}*"))):
        if is_one(each):
            return each
    raise InputError(
        f"--{flag}",
        f"{folder} neither is nor contains {name}, with {content}",
        f"give the folder {name}; docs/best_brixia.md says where to download it",
    )


def prepare(brixia: pathlib.Path, cohen: pathlib.Path, data: pathlib.Path) -> None:
    """Prepares the scored films by patient, and films and masks of other patients.

    The releases are read through copies of their tables, in `data/releases`: Cohen's
    metadata.csv names the patients of both.
    """
    inner = _inner(brixia)
    copy = data / "releases" / _SCORED / "data"
    _link(inner / TABLE, copy / TABLE)
    _link(inner / IMAGES, copy / IMAGES)
    _link(cohen / METADATA, copy / METADATA)
    build.build("brixia_public", copy.parent, data)
    copy = data / "releases" / _COHEN
    for name in ("images", "annotations"):
        _link(cohen / name, copy / name)
    files.write_text(copy / METADATA, _others(brixia, cohen))
    build.build("covid_chestxray/segmentation", copy, data)
    build.build("covid_chestxray/512", copy, data)


def without_patients_of(text: str, films: set[str]) -> str:
    """Cohen's metadata.csv without all rows of the patients of some films."""
    head, *rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    patient, name = head.index("patientid"), head.index("filename")

    def stem(row):
        return pathlib.PurePath(row[name]).stem

    patients = {row[patient] for row in rows if stem(row) in films}
    kept = [r for r in rows if r[patient] not in patients and stem(r) not in films]
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([head, *kept])
    return written.getvalue()


def _link(there: pathlib.Path, here: pathlib.Path) -> None:
    with files.explained(here):
        here.parent.mkdir(parents=True, exist_ok=True)
        if here.is_symlink():
            here.unlink()
        here.symlink_to(there)


def frontal(brixia: pathlib.Path, cohen: pathlib.Path) -> list[pathlib.Path]:
    """Proper frontal films without scores, for the gate: at most _EACH of a collection.

    Of Cohen's collection the films of other patients, and of NIH's and the Radiography
    Database what lies beside `brixia`.
    """
    rows = csv.DictReader(io.StringIO(_others(brixia, cohen)))

    def is_frontal(row):
        return row["view"].startswith(("PA", "AP"))

    own = [cohen / "images" / r["filename"] for r in rows if is_frontal(r)]
    found = [[path for path in own if path.is_file()]]
    for pattern in _FRONTAL:
        folders = sorted(brixia.parent.glob(pattern))
        found.append([path for folder in folders for path in folder.iterdir()])
    chosen = []
    for paths in found:
        films = sorted(p for p in paths if p.suffix.lower() in images.SUFFIXES)
        order = generator(0, "gate films").permutation(len(films))[:_EACH]
        chosen += [films[i] for i in sorted(order)]
    return chosen


def _inner(brixia: pathlib.Path) -> pathlib.Path:
    """The folder of the release that holds its table and images."""
    return brixia if is_release(brixia) else brixia / "data"


def _others(brixia: pathlib.Path, cohen: pathlib.Path) -> str:
    """Cohen's metadata.csv without the patients of the scored films."""
    text = files.read_text(cohen / METADATA, missing=_AGAIN, damaged=_AGAIN)
    scored_films = {path.stem for path in (_inner(brixia) / IMAGES).iterdir()}
    return without_patients_of(text, scored_films)
