"""A synthetic release in the format of the COVID-19 Radiography Database."""

import io
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import openpyxl

from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.release import write_all
from tfds_builders.phantom.scores import draw_patient, draw_scores

SIZE = 299
LAYOUTS = ("v5", "v4")
LEAST = 4  # one of each class
_MASK_SIZE = 256
_COPIES = 0.1  # share of COVID images that are altered copies of another one
_CHILDREN = 1341 / 10192  # of the Normal images, as in the real set

# Images of each class in the release.
COUNTS = {"COVID": 3616, "Lung_Opacity": 6012, "Normal": 10192, "Viral Pneumonia": 1345}
# Where the images come from: almost one source per class, as in the real set.
_SOURCES = {
    "COVID": ("hospital-a", "hospital-b", "web-collection", "hospital-c"),
    "Lung_Opacity": ("challenge",),
    "Normal": ("challenge",),
    "Viral Pneumonia": ("children",),
}
_SOURCE_SHARES = (0.68, 0.05, 0.16, 0.11)  # of the COVID images


class _Image(NamedTuple):
    kind: str
    number: int  # from 1, as in the file name
    scores: np.ndarray
    child: bool
    source: str
    copy_of: int  # number of the image that this one repeats; 0 for none


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write COVID-19_Radiography_Dataset/ into `folder` and return it."""
    release = folder / "COVID-19_Radiography_Dataset"
    subfolders = ("images", "masks") if layout == "v5" else ("",)
    for kind in COUNTS:
        for subfolder in subfolders:
            (release / kind / subfolder).mkdir(parents=True)
    images = _plan(n, seed)
    write_all(
        lambda image: _write_image(release / image.kind, image, seed, size, layout),
        images,
        n,
        "Radiography phantom",
    )
    for kind in COUNTS:
        # The tables spell one class in capitals; the files do not.
        name = "NORMAL" if kind == "Normal" else kind
        rows = [
            (f"{name}-{image.number}", "PNG", "256*256", _url(image.source))
            for image in images
            if image.kind == kind
        ]
        _write_xlsx(release / f"{kind}.metadata.xlsx", rows)
    return release


def _url(source: str) -> str:
    return f"https://example.org/synthetic-phantom/{source}"


def class_counts(n: int) -> dict[str, int]:
    """Images per class, in the proportions of the release, at least one; n >= LEAST."""
    total = sum(COUNTS.values())
    spare = n - len(COUNTS)
    exact = {kind: spare * count / total for kind, count in COUNTS.items()}
    counts = {kind: 1 + int(part) for kind, part in exact.items()}
    by_remainder = sorted(COUNTS, key=lambda kind: int(exact[kind]) - exact[kind])
    for kind in by_remainder[: n - sum(counts.values())]:
        counts[kind] += 1
    return counts


def _plan(n: int, seed: int) -> list[_Image]:
    images = []
    for k, (kind, count) in enumerate(class_counts(n).items()):
        rng = np.random.default_rng([seed, 1, k])
        originals: list[_Image] = []
        for number in range(1, count + 1):
            copies = kind == "COVID" and originals
            if copies and (rng.random() < _COPIES or number == min(count, 3)):
                original = originals[int(rng.integers(len(originals)))]
                image = original._replace(number=number, copy_of=original.number)
            else:
                child = kind == "Viral Pneumonia"
                if kind == "Normal":
                    child = rng.random() < _CHILDREN
                share = _SOURCE_SHARES if kind == "COVID" else None
                source = "children" if child else rng.choice(_SOURCES[kind], p=share)
                scores = draw_pattern(kind, rng)
                image = _Image(kind, number, scores, child, str(source), 0)
                originals.append(image)
            images.append(image)
    return images


def draw_pattern(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Zone scores that make the picture of a class."""
    scores = np.zeros(6, int)
    if kind == "COVID":  # both lungs, most in the lower zones
        while scores.sum() < 5 or min(scores[2], scores[5]) < 1:
            scores = draw_scores(draw_patient(rng), rng)
    elif kind == "Lung_Opacity":  # one lobe
        zone = int(rng.choice([0, 1, 2, 3, 4, 5]))
        scores[zone] = 3
        neighbour = zone + (1 if zone % 3 == 0 else -1)
        scores[neighbour] = rng.choice([0, 1, 3])
    elif kind == "Viral Pneumonia":  # everywhere, interstitial
        scores = rng.choice([1, 2], 6, p=[0.85, 0.15])
    return scores


def _write_image(folder: Path, image: _Image, seed: int, size: int, layout: str):
    origin = image.copy_of or image.number
    key = [seed, 2, list(COUNTS).index(image.kind), origin]
    rng = np.random.default_rng(key)
    film = draw_film(
        draw_chest(rng, image.child),
        image.scores,
        rng,
        size,
        square=True,
        peripheral=image.kind == "COVID",
    )
    pixels = np.rint(film.picture * 255).astype(np.uint8)
    if image.copy_of:
        pixels = _handled(pixels, np.random.default_rng([*key, image.number]))
    name = f"{image.kind}-{image.number}.png"
    if layout == "v4":
        _write_png(folder / name, pixels)
        return
    _write_png(folder / "images" / name, pixels)
    mask = np.where(film.zones > 0, 255, 0).astype(np.uint8)
    mask = cv2.resize(mask, (_MASK_SIZE, _MASK_SIZE), interpolation=cv2.INTER_NEAREST)
    _write_png(folder / "masks" / name, np.repeat(mask[..., None], 3, 2))


def _handled(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What happens to a picture on its way through papers and web pages."""
    shape = pixels.shape[::-1]
    small = [max(int(n * rng.uniform(0.7, 0.9)), 8) for n in shape]
    pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 90))]
    pixels = cv2.imdecode(cv2.imencode(".jpg", pixels, quality)[1], 0)
    pixels = cv2.resize(pixels, shape, interpolation=cv2.INTER_LINEAR)
    brighter = pixels * rng.uniform(0.9, 1.05) + rng.uniform(-8, 8)
    return np.clip(np.rint(brighter), 0, 255).astype(np.uint8)


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _write_xlsx(path: Path, rows) -> None:
    """A workbook as in the release, without the time of its writing."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Sheet1"
    sheet.append(("FILE NAME", "FORMAT", "SIZE", "URL"))
    for row in rows:
        sheet.append(row)
    book.save(packed := io.BytesIO())
    # openpyxl writes the clock into the properties and into every zip entry.
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "docProps/core.xml":
                data = re.sub(
                    rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2020-01-01T00:00:00Z", data
                )
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            new.writestr(info, data, zipfile.ZIP_DEFLATED)
