"""A synthetic release in the format of COVID-XRay-5K (four folders, no table)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.coronahack import article, uuid, web_picture
from tfds_builders.phantom.covid_radiography import draw_pattern
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.release import write_all
from tfds_builders.phantom.web_images import copied, encoded

SIZE = 512
LAYOUTS = ("v3",)
LEAST = 4  # one in each folder
_COVID = 0.25  # of all images; 4 % in the release, too few for a small phantom
_TEST = {"covid": 100 / 184, "non": 3000 / 5000}  # as in the release
# Of the COVID images of test, how many are a file of train, and an altered copy.
_IDENTICAL, _ALTERED = 0.37, 0.1
_FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Lung Lesion"),
    *("Lung Opacity", "No Finding", "Pleural Effusion", "Pneumonia", "Pneumothorax"),
)


class _Image(NamedTuple):
    part: str
    label: str
    file_name: str
    patient: int  # seeds the anatomy
    film: int  # seeds the rest
    pattern: str
    copy: int = 0  # seeds what happened to an altered copy


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write data/ into `folder` and return it."""
    release = folder / "data"
    for part in ("train", "test"):
        for label in ("covid", "non"):
            (release / part / label).mkdir(parents=True)
    write_all(
        lambda image: _write_image(
            release / image.part / image.label, image, seed, size
        ),
        _plan(n, seed),
        n,
        "COVID-XRay-5K phantom",
    )
    return release


def _plan(n: int, seed: int) -> list[_Image]:
    rng = np.random.default_rng([seed, 1])
    covid = max(int(_COVID * n), 2)
    counts = {"covid": covid, "non": n - covid}
    images: list[_Image] = []
    for label, count in counts.items():
        tested = min(max(int(_TEST[label] * count), 1), count - 1)
        for part, wanted in (("train", count - tested), ("test", tested)):
            draw = _covid if label == "covid" else _non
            images += draw(rng, part, wanted, images)
    return images


def _covid(rng, part: str, count: int, before: list[_Image]) -> list[_Image]:
    """Web pictures; in test some are those of train, under their name or another."""
    images: list[_Image] = []
    trained = list(before)
    while len(images) < count:
        first = 1 + len(before) + len(images)
        fate = rng.random() if trained and images else 1.0
        if fate < _IDENTICAL:
            original = trained.pop(int(rng.integers(len(trained))))
            suffix = Path(original.file_name).suffix
            name = rng.choice([original.file_name, f"{uuid(rng)}{suffix}"])
            images.append(original._replace(part=part, file_name=str(name)))
        elif fate < _IDENTICAL + _ALTERED:
            original = trained.pop(int(rng.integers(len(trained))))
            name = f"{uuid(rng)}.jpeg"
            images.append(original._replace(part=part, file_name=name, copy=first))
        else:
            one = rng.random() < 0.75
            names = [f"{uuid(rng)}.jpeg"] if one else article(rng, "COVID-19")
            images += [
                _Image(part, "covid", name, first, first + k, "COVID")
                for k, name in enumerate(names[: count - len(images)])
            ]
    return images


def _non(rng, part: str, count: int, before: list[_Image]) -> list[_Image]:
    """Films of CheXpert: patients of one part only, some with several studies."""
    images: list[_Image] = []
    number = 0 if part == "test" else 30000
    while len(images) < count:
        number += int(rng.integers(1, 20))
        patient = 1 + len(before) + len(images)
        studies = 1 + int(rng.random() < 0.2)
        for study in range(1, 1 + min(studies, count - len(images))):
            finding = str(rng.choice(_FINDINGS))
            name = f"patient{number:05d}-study{study}-view1_frontal.jpg"
            pattern = "Normal" if finding == "No Finding" else "Lung_Opacity"
            images.append(
                _Image(
                    part,
                    "non",
                    f"{finding}-{name}" if part == "train" else name,
                    patient,
                    patient + study - 1,
                    pattern,
                )
            )
    return images


def _write_image(folder: Path, image: _Image, seed: int, size: int) -> None:
    chest = draw_chest(np.random.default_rng([seed, 2, image.patient]))
    scores = draw_pattern(image.pattern, np.random.default_rng([seed, 3, image.film]))
    rng = np.random.default_rng([seed, 4, image.film])
    covid = image.label == "covid"
    longest = int(size * rng.uniform(0.5 if covid else 0.8, 1.0))
    picture = draw_film(chest, scores, rng, longest, peripheral=covid).picture
    pixels = np.rint(picture * 255).astype(np.uint8)
    if image.copy:
        rng = np.random.default_rng([seed, 5, image.copy])
        pixels = copied(pixels, rng)
    if covid:
        pixels = web_picture(pixels, rng)
    path = folder / image.file_name
    path.write_bytes(encoded(pixels, path.suffix[1:]))
