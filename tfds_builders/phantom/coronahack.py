"""A synthetic release in the format of CoronaHack (doubled folder, two tables)."""

import collections
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.covid_radiography import draw_pattern
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.release import write_all
from tfds_builders.phantom.web_images import copied, encoded, tinted

SIZE = 512
LAYOUTS = ("1",)
LEAST = 4  # one of each of the four large classes
_FOLDER = "Coronahack-Chest-XRay-Dataset"
_TEST = 0.15  # of the children; 12 % in the release
_COPIES = 0.1  # share of COVID-19 images that are altered copies of another one
_COLOURED = 0.25  # share of the web pictures
_UNLISTED_FROM = 20  # smaller releases have a row for every image

_NORMAL = ("Normal", "", "")
_BACTERIA = ("Pnemonia", "bacteria", "")
_VIRUS = ("Pnemonia", "Virus", "")
_COVID = ("Pnemonia", "Virus", "COVID-19")
_SARS = ("Pnemonia", "Virus", "SARS")
_STREPTOCOCCUS = ("Pnemonia", "bacteria", "Streptococcus")
_ARDS = ("Pnemonia", "Stress-Smoking", "ARDS")
# Images by Label, Label_1 and Label_2; what is left are bacteria. In the release
# COVID-19 is 1 % and the last three are 0.2 %: too few for a small phantom.
_SHARES = {_NORMAL: 0.27, _VIRUS: 0.2, _COVID: 0.16}
_RARE = {_SARS: 0.02, _STREPTOCOCCUS: 0.025, _ARDS: 0.01}
# Which picture of the Radiography phantom a label looks like.
_PATTERNS = {
    _NORMAL: "Normal",
    _BACTERIA: "Lung_Opacity",
    _STREPTOCOCCUS: "Lung_Opacity",
    _VIRUS: "Viral Pneumonia",
    _COVID: "COVID",
    _SARS: "COVID",
    _ARDS: "COVID",
}


class _Image(NamedTuple):
    file_name: str
    part: str
    labels: tuple[str, str, str]
    patient: int  # seeds the anatomy and the disease
    film: int  # seeds the rest
    child: bool
    copy: int = 0  # seeds what happened to a copy; the rest is its original's
    listed: bool = True


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write the tables and the doubled folder into `folder` itself and return it."""
    images = _plan(n, seed)
    pictures = folder / _FOLDER / _FOLDER
    for part in ("train", "test"):
        (pictures / part).mkdir(parents=True)
    write_all(
        lambda image: _write_image(pictures / image.part.lower(), image, seed, size),
        images,
        n,
        "CoronaHack phantom",
    )
    header = "X_ray_image_name,Label,Dataset_type,Label_2_Virus_category"
    rows = [f",{header},Label_1_Virus_category"]
    # The index counts the files, so that it has gaps where one has no row.
    rows += [
        f"{index},{i.file_name},{i.labels[0]},{i.part},{i.labels[2]},{i.labels[1]}"
        for index, i in enumerate(images)
        if i.listed
    ]
    _write(folder / "Chest_xray_Corona_Metadata.csv", rows)
    rows = [",Label,Label_1_Virus_category,Label_2_Virus_category,Image_Count"]
    counts = collections.Counter(i.labels for i in images if i.listed)
    rows += [
        f"{index},{','.join(labels)},{count}"
        for index, (labels, count) in enumerate(sorted(counts.items()))
    ]
    _write(folder / "Chest_xray_Corona_dataset_Summary.csv", rows)
    return folder


def _write(path: Path, rows) -> None:
    path.write_bytes("\n".join([*rows, ""]).encode())


def _plan(n: int, seed: int) -> list[_Image]:
    """In the order of the table: children, web pictures, then the children of TEST."""
    counts = {labels: int(share * n) for labels, share in _RARE.items()}
    counts |= {labels: max(int(share * n), 1) for labels, share in _SHARES.items()}
    counts[_BACTERIA] = n - sum(counts.values())
    rng = np.random.default_rng([seed, 1])
    children: list[_Image] = []
    for labels in (_NORMAL, _BACTERIA, _VIRUS):
        children += _children(rng, labels, counts[labels], 1 + len(children))
    web: list[_Image] = []
    for labels in (_STREPTOCOCCUS, _COVID, _ARDS, _SARS):
        web += _web(rng, labels, counts[labels], 1 + len(children) + len(web))
    if n >= _UNLISTED_FROM:
        covid = [k for k, image in enumerate(web) if image.labels == _COVID]
        for k in covid[1 : 1 + max(n * 23 // 5933, 1)]:
            web[k] = web[k]._replace(listed=False)
    trained = [image for image in children if image.part == "TRAIN"]
    return trained + web + [image for image in children if image.part == "TEST"]


def _children(rng, labels, count: int, first: int) -> list[_Image]:
    """Films of children; `first` is a number for the first of them.

    Persons are counted separately for bacteria and for viruses, as in the release.
    """
    images: list[_Image] = []
    person = 0
    while len(images) < count:
        person += int(rng.integers(1, 4))
        patient = first + len(images)
        films = min(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])), count - len(images))
        # The very first is a Normal one: TEST has at least that.
        part = "TEST" if patient == 1 or rng.random() < _TEST else "TRAIN"
        series = "IM" if rng.random() < 0.5 else "NORMAL2-IM"
        for film in range(films):
            if labels == _NORMAL:
                more = f"-{film:04d}" if film else ""
                name = f"{series}-{person:04d}-0001{more}"
            else:
                kind = labels[1].lower()
                name = f"person{person}_{kind}_{len(images) + 1}"
            images.append(
                _Image(
                    f"{name}.jpeg",
                    part,
                    labels,
                    patient,
                    patient + film,
                    child=True,
                )
            )
    return images


def _web(rng, labels, count: int, first: int) -> list[_Image]:
    """Pictures from the web, of one patient each or of one article."""
    images: list[_Image] = []
    while len(images) < count:
        patient = first + len(images)
        if labels == _COVID and rng.random() < 0.75:
            suffix = rng.choice(["jpeg", "png", "jpg"], p=[0.8, 0.15, 0.05])
            names = [f"{uuid(rng)}.{suffix}"]
        else:
            names = article(rng, labels[2])
        for name in names[: count - len(images)]:
            film = first + len(images)
            images.append(_Image(name, "TRAIN", labels, patient, film, child=False))
        earlier = [image for image in images[:-1] if not image.copy]
        if labels == _COVID and earlier and rng.random() < _COPIES:
            original = earlier[int(rng.integers(len(earlier)))]
            images[-1] = original._replace(
                file_name=f"{uuid(rng)}.jpeg", copy=first + len(images)
            )
    return images


def uuid(rng: np.random.Generator) -> str:
    """A name as telephones give it: FE9F9A5D-2830-46F9-851B-1FF4534959BE."""
    digits = "".join(rng.choice(list("0123456789ABCDEF"), 32))
    ends = (0, 8, 12, 16, 20, 32)
    return "-".join(digits[a:b] for a, b in itertools.pairwise(ends))


def article(rng: np.random.Generator, finding: str) -> list[str]:
    """File names of an article's figures in Cohen's collection."""
    number = int(rng.integers(10**6, 10**7))
    days = sorted(int(day) for day in rng.choice(30, 3, replace=False))
    if finding == "Streptococcus":
        stem = f"streptococcus-pneumoniae-pneumonia-temporal-evolution-{number}"
        return [f"{stem}-day{day}.jpg" for day in days]
    if finding == "SARS":
        stem = f"SARS-10.1148rg.{number}-g04mr34g09"
        return [
            f"{stem}{a}-Fig9{a}-day{d}.jpeg" for a, d in zip("abc", days, strict=True)
        ]
    if finding == "ARDS":
        return [f"acute-respiratory-distress-syndrome-ards-{number}.jpg"]
    return [
        [f"1-s2.0-S{number:016d}-gr2_lrg-{a}.jpg" for a in "abcd"],
        [f"1-s2.0-S{number:016d}-main.pdf-003-{a}.png" for a in ("b1", "b2")],
        [f"kjr-21-e{number}-g00{k}-l-a.jpg" for k in (1, 2, 3)],
        [f"{number}_2020_819_Fig1_HTML.webp-day{day}.png" for day in days],
    ][int(rng.integers(4))]


def _write_image(folder: Path, image: _Image, seed: int, size: int) -> None:
    chest = draw_chest(np.random.default_rng([seed, 2, image.patient]), image.child)
    scores = draw_pattern(
        _PATTERNS[image.labels], np.random.default_rng([seed, 3, image.patient])
    )
    rng = np.random.default_rng([seed, 4, image.film])
    longest = int(size * rng.uniform(0.7 if image.child else 0.5, 1.0))
    picture = draw_film(
        chest, scores, rng, longest, peripheral=image.labels == _COVID
    ).picture
    pixels = np.rint(picture * 255).astype(np.uint8)
    if image.copy:
        rng = np.random.default_rng([seed, 5, image.copy])
        pixels = copied(pixels, rng)
    if not image.child:
        pixels = web_picture(pixels, rng)
    path = folder / image.file_name
    path.write_bytes(encoded(pixels, path.suffix[1:]))


def web_picture(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[H, W, 3] of grey pixels: three equal channels, or tinted."""
    if rng.random() < _COLOURED:
        return tinted(pixels)
    return np.repeat(pixels[..., None], 3, 2)
