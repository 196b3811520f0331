"""Films to pre-train on: python -m docs.make.pretraining_films DATA OUT.

DATA holds the sources under these names, as they are published or a part of them:
covid-chestxray-dataset, NIH-ChestX-ray14, chest_xray (Kermany 2018),
COVID-19_Radiography_Dataset (of its class COVID, where that is Hannover's films alone) and
Brixia-score-COVID-19. Writes two trees for `tfds_builders.build image_folder`:
OUT/pool/<source>/ for training without labels, and OUT/labelled/{NORMAL,PNEUMONIA}/ of the
films of NIH and Kermany. The patient comes first in every name: --patients_from gets it
from there. No patient of the films that have Brixia scores is in either, nor one with a
copy of such a film: Cohen's table knows one patient under two numbers. Of
configs/ablations/pretraining.py.
"""

from __future__ import annotations

import csv
import pathlib
import shutil
import sys
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

# Correlation of two films at 32 px. Copies have 0.99 and more; films of two patients reach
# 0.93.
COPY = 0.97
SUBSET = pathlib.Path("Brixia-score-COVID-19", "data", "public-cohen-subset")


class Film(NamedTuple):
    """A film, its name among those of all sources, and its folders below OUT."""

    path: pathlib.Path
    name: str
    folders: tuple[str, ...]


def rows(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def signature(path: pathlib.Path) -> np.ndarray:
    """A film as a vector of length 1 and mean 0: products are correlations."""
    film = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if film is None:
        raise SystemExit(f"{path} is not an image")
    small = cv2.resize(film, (32, 32), interpolation=cv2.INTER_AREA).astype(float)
    vector = small.ravel() - small.mean()
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def cohen(data: pathlib.Path) -> Iterator[Film]:
    """Frontal films of patients without a film in the Brixia subset, or a copy of one."""
    folder = data / "covid-chestxray-dataset"
    table = rows(folder / "metadata.csv")
    scored = sorted((data / SUBSET).iterdir())
    names = {path.name for path in scored}
    films = np.array([signature(path) for path in scored])
    frontal = [row for row in table if row["view"].startswith(("PA", "AP"))]
    patients = {row["patientid"] for row in table if row["filename"] in names}
    for row in frontal:
        likeness = films @ signature(folder / "images" / row["filename"])
        if likeness.max() > COPY:
            patients.add(row["patientid"])
    for row in frontal:
        if row["patientid"] not in patients:
            name = f"cohen_{row['patientid']}_{row['filename']}"
            yield Film(folder / "images" / row["filename"], name, ("pool/cohen",))


def nih(data: pathlib.Path) -> Iterator[Film]:
    """Those called normal or pneumonia, whatever else they show."""
    folder = data / "NIH-ChestX-ray14"
    for row in rows(folder / "Data_Entry_2017_v2020.csv"):
        findings, name = row["Finding Labels"].split("|"), row["Image Index"]
        label = {"No Finding": "NORMAL"}.get(findings[0], "")
        label = "PNEUMONIA" if "Pneumonia" in findings else label
        labelled = (f"labelled/{label}",) if label else ()
        yield Film(folder / "images" / name, f"nih_{name}", ("pool/nih", *labelled))


def kermany(data: pathlib.Path) -> Iterator[Film]:
    """Films of children; NORMAL2-IM-0272-0001 is of IM-0272."""
    for path in sorted((data / "chest_xray").glob("*/*/*.jpeg")):
        patient = path.stem.split("_")[0]
        if not patient.startswith("person"):
            patient = path.stem.removeprefix("NORMAL2-").rsplit("-", 1)[0]
        name = f"kermany_{patient}_{path.name}"
        yield Film(path, name, ("pool/kermany", f"labelled/{path.parent.name}"))


def hannover(data: pathlib.Path) -> Iterator[Film]:
    for path in sorted(
        (data / "COVID-19_Radiography_Dataset" / "COVID" / "images").iterdir()
    ):
        yield Film(path, f"hannover_{path.name}", ("pool/hannover",))


def main(data: pathlib.Path, out: pathlib.Path) -> int:
    """Copies the films; returns how many there are."""
    count = 0
    for source in (cohen, nih, kermany, hannover):
        for film in source(data):
            count += 1
            for folder in film.folders:
                (out / folder).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(film.path, out / folder / film.name)
    return count


if __name__ == "__main__":
    found = main(*map(pathlib.Path, sys.argv[1:3]))
    print(f"{found} films in {sys.argv[2]}")
