"""Films that a gate should pass, and pictures that it should not."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from sklearn.datasets import load_sample_images

from cxr_jax.rng import generator
from tfds_builders.common.film import read_film
from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.scores import draw_patient, draw_scores

SIDE = 256
# In the wheel of pydicom; its others would have to be fetched.
_DICOM = (
    "CT_small.dcm",
    "MR_small.dcm",
    "examples_ybr_color.dcm",
    "examples_rgb_color.dcm",
)


class Group(NamedTuple):
    """Films of one kind, read when they are asked for; the patient of each."""

    name: str
    read: list[Callable[[], np.ndarray]]
    patients: list[str]


def collections(data: pathlib.Path) -> Iterator[Group]:
    """The films of the shared folder: frontal of four sources, and laterals."""
    tables = [data / "MANIFEST.csv", data / "MANIFEST_more.csv"]
    rows = [row for table in tables for row in _rows(table)]
    cohen = "covid-chestxray-dataset"
    views = {r["filename"]: r["view"] for r in _rows(data / cohen / "metadata.csv")}
    for name, layout, chosen in (
        ("NIH", "NIH-ChestX-ray14", lambda row: True),
        ("Hannover", "COVID-19_Radiography_Dataset", _is_of("hannover")),
        ("BrixIA, DICOM", "BrixIA", lambda row: row["path"].endswith(".dcm")),
        ("Cohen, frontal", cohen, _is_view(views, ("PA", "AP", "AP Supine"))),
        ("children (Kermany)", "chest_xray", lambda row: True),
        ("Cohen, lateral", cohen, _is_view(views, ("L",))),
    ):
        found = [row for row in rows if row["layout"] == layout and chosen(row)]
        yield Group(
            name,
            [
                lambda path=data / row["path"]: read_film(path, 8).pixels
                for row in found
            ],
            [row["patient"] for row in found],
        )


def phantoms(count: int) -> Group:
    """Synthetic films."""

    def draw(index: int) -> np.ndarray:
        rng = generator(index, "gate phantom")
        levels = draw_scores(draw_patient(rng), rng)
        picture = draw_film(draw_chest(rng), levels, rng, SIDE).picture
        return np.rint(picture * 255).astype(np.uint8)

    read = [lambda index=index: draw(index) for index in range(count)]
    return Group("phantoms", read, [str(index) for index in range(count)])


ALTERED = {
    "inverted": lambda film: np.iinfo(film.dtype).max - film,
    "a quarter turn": lambda film: np.rot90(film),
    "half a turn": lambda film: np.rot90(film, 2),
    "three quarters": lambda film: np.rot90(film, 3),
    "upside down": lambda film: film[::-1],
    "mirrored": lambda film: film[:, ::-1],
    "left half": lambda film: film[:, : film.shape[1] // 2],
    "right half": lambda film: film[:, film.shape[1] // 2 :],
    "upper half": lambda film: film[: len(film) // 2],
    "lower half": lambda film: film[len(film) // 2 :],
    "upper left quarter": lambda film: film[: len(film) // 2, : film.shape[1] // 2],
    "middle quarter": lambda film: film[
        len(film) // 4 : -len(film) // 4, film.shape[1] // 4 : -film.shape[1] // 4
    ],
    "without the lowest quarter": lambda film: film[: len(film) * 3 // 4],
}


def others() -> Iterator[Group]:
    """Pictures that are no chest films, some of each kind."""
    yield _group("CT, MR, ultrasound (pydicom)", [_dicom(name) for name in _DICOM])
    photos = [
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in load_sample_images().images
    ]
    tiles = [
        photo[top : top + 200, left : left + 200]
        for photo in photos
        for top in (0, 110, 220)
        for left in (0, 110, 220, 330, 440)
    ]
    yield _group("parts of photographs", tiles)
    for name, draw in (
        ("noise", _noise),
        ("smooth noise", _clouds),
        ("text", _text),
        ("discs and boxes", _shapes),
        ("blank, with noise", _blank),
    ):
        yield _group(name, [draw(generator(i, f"gate {name}")) for i in range(40)])


def _group(name: str, films: list[np.ndarray]) -> Group:
    read = [lambda film=film: film for film in films]
    return Group(name, read, [str(i) for i in range(len(films))])


def _dicom(name: str) -> np.ndarray:
    """Grey, stretched to the whole range."""
    pixels = pydicom.dcmread(str(get_testdata_file(name))).pixel_array
    grey = pixels.mean(-1) if pixels.shape[-1] == 3 else pixels
    grey = grey[0] if grey.ndim == 3 else grey
    return cv2.normalize(grey.astype(np.float32), None, 0, 255, cv2.NORM_MINMAX).astype(
        np.uint8
    )


def _noise(rng) -> np.ndarray:
    return rng.integers(0, 256, (SIDE, SIDE), np.uint8)


def _clouds(rng) -> np.ndarray:
    small = rng.integers(0, 256, (6, 6), np.uint8)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def _text(rng) -> np.ndarray:
    page = np.full((SIDE, SIDE), 255, np.uint8)
    for line in range(20, SIDE, 20):
        letters = "".join(chr(c) for c in rng.integers(65, 91, 20))
        cv2.putText(page, letters, (8, line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0)
    return page


def _shapes(rng) -> np.ndarray:
    page = np.full((SIDE, SIDE), rng.integers(0, 256), np.uint8)
    for _ in range(rng.integers(1, 6)):
        x, y, size, grey = (int(v) for v in rng.integers(20, 236, 4))
        if rng.random() < 0.5:
            cv2.circle(page, (x, y), size // 3, grey, -1)
        else:
            cv2.rectangle(page, (x, y), (x + size // 2, y + size // 3), grey, -1)
    return page


def _blank(rng) -> np.ndarray:
    level = rng.integers(5, 250)
    return np.clip(rng.normal(level, 2, (SIDE, SIDE)), 0, 255).astype(np.uint8)


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _is_of(collection: str):
    return lambda row: row["patient"].startswith(collection)


def _is_view(views: dict[str, str], chosen: tuple[str, ...]):
    return lambda row: (
        row["path"].startswith("covid-chestxray-dataset/images/")
        and views.get(pathlib.PurePath(row["path"]).name) in chosen
    )
