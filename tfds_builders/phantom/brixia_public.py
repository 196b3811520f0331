"""A synthetic release in the format of BrixIA's public annotations."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.common.zones import ZONES
from tfds_builders.phantom import web_images
from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.release import write_all
from tfds_builders.phantom.scores import draw_patient, draw_scores, read_again

SIZE = 512
LAYOUTS = ("2020",)
LEAST = 1
# Films of one patient, whom the release does not name.
_FILMS, _FILM_SHARES = (1, 2, 3), (0.7, 0.2, 0.1)
# As in public copies of the release: 9 of its 192 pictures are not there, and some of
# the others are copies or tinted. So few films as these have no such fault.
_NO_FAULTS = 7
_MISSING = 9 / 183
_COPY, _TINTED, _DEEP, _NOT_QUITE_OPAQUE, _PERIOD = 5, 6, 11, 13, 32
_COLUMNS = ("filename", *(f"{r}-{c}" for r in "SJ" for c in (*ZONES, "Global")))


class _Drawing(NamedTuple):
    """What decides the pixels of a film; a copy has that of another film."""

    patient: int
    index: int
    levels: np.ndarray


class _Image(NamedTuple):
    index: int
    file_name: str
    drawing: _Drawing
    senior: np.ndarray
    junior: np.ndarray
    place: int


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write data/ of the repository into `folder` and return it."""
    release = folder / "data"
    pictures = release / "public-cohen-subset"
    pictures.mkdir(parents=True)
    missing = max(1, round(n * _MISSING)) if n > _NO_FAULTS else 0
    images = _plan(n + missing, seed)
    write_all(
        lambda image: _write_image(pictures, image, seed, size),
        images[:n],
        n,
        "BrixIA public phantom",
    )
    # As released: sorted by the junior's score, the largest first.
    images.sort(key=lambda i: (-i.junior.sum(), -i.senior.sum(), i.index))
    rows = [_COLUMNS, *map(_row, images)]
    table = "".join(",".join(row) + "\r\n" for row in rows)
    (release / "public-annotations.csv").write_bytes(table.encode("utf-8-sig"))
    return release


def _plan(n: int, seed: int) -> list[_Image]:
    rng = np.random.default_rng([seed, 1])
    images: list[_Image] = []
    patient = 0
    while len(images) < n:
        patient += 1
        severity = draw_patient(rng)
        for day in range(rng.choice(_FILMS, p=_FILM_SHARES)):
            index = len(images)
            name = web_images.file_name("brixia_public", seed, index, day)
            place = index % _PERIOD if n > _NO_FAULTS else -1
            ending = web_images.ENDINGS[index % len(web_images.ENDINGS)]
            if place in (_DEEP, _NOT_QUITE_OPAQUE):
                ending = "png"
            senior = draw_scores(severity, rng)
            drawing = _Drawing(patient, index, senior)
            if place == _COPY:
                drawing = images[-_COPY].drawing
                senior = read_again(drawing.levels, rng)
            images.append(
                _Image(
                    index=index,
                    file_name=f"{name}.{ending}",
                    drawing=drawing,
                    senior=senior,
                    junior=read_again(senior, rng),
                    place=place,
                )
            )
    return images[:n]


def _row(image: _Image) -> list[str]:
    cells = [image.file_name]
    for scores in (image.senior, image.junior):
        cells += [*map(str, scores), str(scores.sum())]
    return cells


def _write_image(folder: Path, image: _Image, seed: int, size: int) -> None:
    drawing = image.drawing
    chest = draw_chest(np.random.default_rng([seed, 2, drawing.patient]))
    rng = np.random.default_rng([seed, 3, drawing.index])
    longest = int(size * rng.uniform(0.8, 1.0))  # every web site has its own size
    film = draw_film(chest, drawing.levels, rng, longest, peripheral=True)
    pixels = np.rint(film.picture * 255).astype(np.uint8)
    if drawing.index != image.index:
        pixels = web_images.copied(
            pixels, np.random.default_rng([seed, 4, image.index])
        )
    if image.place == _TINTED:
        pixels = web_images.tinted(pixels)
    path = folder / image.file_name
    data = {
        _DEEP: web_images.deep,
        _NOT_QUITE_OPAQUE: web_images.nearly_opaque,
    }.get(image.place, lambda p: web_images.encoded(p, path.suffix.removeprefix(".")))
    path.write_bytes(data(pixels))
