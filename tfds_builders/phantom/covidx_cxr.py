"""A synthetic release in the format of COVIDx CXR: lists of text, folders by split."""

import collections
import uuid
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.release import write_all
from tfds_builders.phantom.scores import draw_patient, draw_scores

SIZE = 512
LEAST = 8  # two for test, one of each label
_KINDS = ("COVID-19", "normal", "pneumonia")
_QUALITY = 90
# Sources that follow a patient over days: every second film is of the same one.
_FOLLOWED = ("cohen", "actmed", "ricord", "bimcv")
_SEVERE = 9  # the phantom's global score from which it stands for level2
_TINT = (0.7, 0.9, 1.0)  # blue, green, red of a film photographed on its light box
_OLD = ("cohen", "fig1", "actmed", "sirm")
_NEW = ("ricord", "cohen", "bimcv", "fig1", "stonybrook")


class _Edition(NamedTuple):
    """What differs between the versions of the release.

    Attributes:
      versions: what the lists are called besides train and test.
      positive: sources of the COVID-19 images, in turn.
      tested: the same of the test list; from version 8 on the source is the label.
      kaggle: lists and folders lie side by side, else in `labels` and `data`.
    """

    versions: tuple[str, ...]
    positive: tuple[str, ...]
    tested: tuple[str, ...]
    kaggle: bool = False
    val: bool = False


_EDITIONS = {
    "9": _Edition(("_COVIDx9A", "_COVIDx9B", "_COVIDxSev"), _NEW, ("ricord",)),
    "kaggle": _Edition(("",), _NEW, ("ricord",), kaggle=True),
    "CXR-4": _Edition(("",), _NEW, ("ricord",), kaggle=True, val=True),
    "7": _Edition(("_COVIDx7A", "_COVIDx7B"), _OLD, _OLD),
    "3": _Edition(("_COVIDx3",), _OLD, _OLD),
    "1": _Edition(("_COVIDx",), _OLD, _OLD),
}
LAYOUTS = tuple(_EDITIONS)


class _Image(NamedTuple):
    index: int
    split: str
    kind: str
    source: str
    number: int  # of the patient
    patient: str
    name: str
    scores: np.ndarray
    copy_of: int | None  # index of the image that this one repeats
    tinted: bool


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write the release's folder into `folder` and return it."""
    edition = _EDITIONS[layout]
    release = folder / ("covidx-cxr2" if edition.kaggle else "COVID-Net")
    lists = release if edition.kaggle else release / "labels"
    data = release if edition.kaggle else release / "data"
    lists.mkdir(parents=True)
    images = _plan(n, seed, edition)
    splits = sorted({image.split for image in images})
    for split in splits:
        (data / split).mkdir(parents=True)
    write_all(
        lambda image: _write_image(data / image.split, image, images, seed, size),
        images,
        n,
        "COVIDx phantom",
    )
    for version in edition.versions:
        for split in splits:
            part = [image for image in images if image.split == split]
            rows = [row for image in part for row in _rows(image, version)]
            if split == "train" and "Sev" not in version:
                # As released: an image that is in the list, and nowhere else.
                rows.append(_row(_ghost(seed), version))
            text = "".join(f"{row}\n" for row in rows)
            (lists / f"{split}{version}.txt").write_bytes(text.encode())
    return release


def _plan(n: int, seed: int, edition: _Edition) -> list[_Image]:
    rng = np.random.default_rng([seed, 1])
    images: list[_Image] = []
    made = collections.defaultdict(list)  # images by split, and by split and another
    for index in range(n):
        split = "test" if index % 4 == 3 else "train"
        split = "val" if edition.val and index % 8 == 5 else split
        kind = _KINDS[len(made[split]) % len(_KINDS)]
        source = _source(edition, split, kind, made)
        alike = made[split, source]
        number = index + 1
        if source in _FOLLOWED and len(alike) % 2:
            number = alike[-1].number
        elif source == "actmed" and not alike and "_COVIDx7B" in edition.versions:
            number = 191  # as released: one patient in train and in test
        patient, name = _names(source, number, index, rng)
        # As released: one film reached two sources, under two names.
        copied = made[split, "cohen"] if source == "fig1" and not alike else []
        image = _Image(
            index,
            split,
            kind,
            source,
            number,
            patient,
            name,
            copied[0].scores if copied else draw_pattern(kind, rng),
            copied[0].index if copied else None,
            tinted=source == "cohen" and len(alike) == 1,
        )
        images.append(image)
        for key in (split, (split, kind), (split, source)):
            made[key].append(image)
    return images


def _source(edition: _Edition, split: str, kind: str, made) -> str:
    if kind == "COVID-19":
        turn = edition.tested if split == "test" else edition.positive
        return turn[len(made[split, kind]) % len(turn)]
    # A few negative images come from a source of positive ones; in new tests none.
    mixed = split == "train" or "actmed" in edition.tested
    return "actmed" if mixed and len(made[split]) % 9 == 1 else "rsna"


def _names(source: str, number: int, index: int, rng) -> tuple[str, str]:
    """Patient id and file name in the manner of a source."""
    five = int(rng.integers(10000, 100000))
    if source == "cohen":
        return f"{number}", f"phantom-pneumonia-{number}-day{index}.jpeg"
    if source == "fig1":
        return f"COVID-{number:05d}", f"COVID-{number:05d}.jpg"
    if source == "actmed":
        return f"ANON{number}", f"CR.2.25.{five}.{index}.1003000225002.png"
    if source == "sirm":
        return f"COVID {number}", f"COVID({number}).png"
    if source == "ricord":
        patient = f"SITE2-{number:06d}"
        return patient, f"MIDRC-RICORD-1C-{patient}-{five}-{index}.png"
    if source == "bimcv":
        patient = f"S{number:05d}"
        return patient, f"sub-{patient}_ses-E{five}_run-{index}_bp-chest_vp-ap_cr.png"
    if source == "stonybrook":
        patient = f"A{number:06d}"
        view = "NA-CHEST_AP_PORTABLE"
        return patient, f"{patient}-01-01-1901-{view}-{five}-2.000000-AP-1-1.jpg"
    name = str(uuid.UUID(bytes=rng.bytes(16), version=4))
    return name, f"{name}.png"


def draw_pattern(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Zone scores that make the picture of a class."""
    scores = np.zeros(6, int)
    if kind == "COVID-19":
        while scores.sum() < 5:
            scores = draw_scores(draw_patient(rng), rng)
    elif kind == "pneumonia":  # one lobe
        scores[int(rng.integers(6))] = 3
    return scores


def _ghost(seed: int) -> _Image:
    rng = np.random.default_rng([seed, 4])
    patient, name = _names("rsna", 0, 0, rng)
    scores = np.zeros(6, int)
    return _Image(0, "train", "normal", "rsna", 0, patient, name, scores, None, False)


def _rows(image: _Image, version: str) -> list[str]:
    """The lines of an image in a list; none where the list is not about it."""
    if "Sev" in version and image.source != "ricord":
        return []
    # As released: lists A lack some of the images of lists B.
    if version.endswith("9A") and image.kind == "normal" and image.source == "actmed":
        return []
    row = _row(image, version)
    # As released: images with several boxes of pneumonia are listed once for each.
    repeated = version == "_COVIDx" and image.kind == "pneumonia"
    return [row, row] if repeated and image.split == "train" else [row]


def _row(image: _Image, version: str) -> str:
    if "Sev" in version:
        label = "level2" if image.scores.sum() >= _SEVERE else "level1"
    elif version.endswith("B") or not version:
        label = "positive" if image.kind == "COVID-19" else "negative"
    else:
        label = image.kind
    # As released: version 1 names no sources, the test list of version 3 some.
    some = version == "_COVIDx3" and image.split == "test" and image.index % 8 == 3
    source = "" if version == "_COVIDx" or some else image.source
    if "9" in version and source == "rsna" and image.index % 8 == 2:
        source = "rnsa"  # as released
    return f"{image.patient} {image.name} {label} {source}".rstrip()


def _write_image(
    folder: Path, image: _Image, images: list[_Image], seed: int, size: int
):
    drawn = image if image.copy_of is None else images[image.copy_of]
    rng = np.random.default_rng([seed, 2, drawn.index])
    # A patient's films are of one chest.
    chest = draw_chest(np.random.default_rng([seed, 3, drawn.number]))
    longest = int(size * rng.uniform(0.85, 1.0))
    picture = draw_film(chest, drawn.scores, rng, longest).picture
    pixels = np.rint(picture * 255).astype(np.uint8)
    if drawn is not image:  # smaller and compressed, as after a web page
        shape = [max(int(side * 0.8), 8) for side in pixels.shape[::-1]]
        pixels = cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)
    if image.tinted:
        pixels = np.rint(pixels[..., None] * np.array(_TINT)).astype(np.uint8)
    suffix = Path(image.name).suffix
    options = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    code = cv2.imencode(suffix, pixels, options)[1]
    (folder / image.name).write_bytes(code.tobytes())
