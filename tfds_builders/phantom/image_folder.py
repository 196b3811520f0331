"""Synthetic folders of classes: as archives for notebooks have them, and of DICOM."""

import collections
import itertools
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tfds_builders.phantom import brixia
from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.release import write_all
from tfds_builders.phantom.scores import draw_patient, draw_scores
from tfds_builders.phantom.web_images import copied, encoded

SIZE = 512
LAYOUTS = ("split", "classes", "dicom")
LEAST = 4  # one of each class in train and in test
_TEST = 0.2
_COPIES = 0.1  # share of the images that repeat another one
_SEVERE = 5  # the least global score of an ill patient
# Of JPEG, a comment (ITU-T T.81, B.2.4.5): other bytes, the same pixels.
_COMMENT = b"\xff\xfe\x00\x09phantom"


class _Image(NamedTuple):
    file: str  # its path in the release
    scores: np.ndarray
    film: int  # seeds the picture; copies have their original's
    copy: str = ""  # 'file', 'pixels' or 'picture': what is the same
    exposure: brixia.Image | None = None  # of a DICOM: its machine, view and patient


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write chest_xray/ into `folder` and return it.

    layout: 'split' is {train,test}/{NORMAL,PNEUMONIA} in JPEG, some of test copied
      from train; 'classes' is {COVID,non-COVID} in JPEG and PNG, all of one size;
      'dicom' is {COVID,NORMAL}/<patient>/ in DICOM.
    """
    release = folder / "chest_xray"
    plan, write_one = {
        "split": (_split, _write_jpeg),
        "classes": (_classes, _write_square),
        "dicom": (_dicoms, _write_dicom),
    }[layout]
    images = plan(n, seed)
    for image in images:
        (release / image.file).parent.mkdir(parents=True, exist_ok=True)
    write_all(
        lambda image: write_one(release / image.file, image, seed, size),
        images,
        n,
        "Folder phantom",
    )
    return release


def _split(n: int, seed: int) -> list[_Image]:
    """A test set of which some pictures are in train: under the same class."""
    rng = np.random.default_rng([seed, 1])
    tests = max(round(_TEST * n), 2)
    images: list[_Image] = []
    ways = itertools.cycle(("file", "pixels", "picture"))
    for index in range(n):
        ill = index % 2 == 1
        part = "train" if index < n - tests else "test"
        kind = "PNEUMONIA" if ill else "NORMAL"
        name = f"person{index}_virus_{index}" if ill else f"IM-{index:04d}-0001"
        image = _Image(f"{part}/{kind}/{name}.jpg", _draw(rng, ill), index)
        copies = part == "test" and index >= n - tests + 2
        if copies and rng.random() < 3 * _COPIES:
            place = int(rng.integers((n - tests) // 2)) * 2 + ill
            image = images[place]._replace(file=image.file, copy=next(ways))
        images.append(image)
    return images


def _classes(n: int, seed: int) -> list[_Image]:
    """Pictures gathered from the web: some are there twice, altered."""
    rng = np.random.default_rng([seed, 1])
    originals: dict[bool, list[_Image]] = collections.defaultdict(list)
    images = []
    for index in range(n):
        ill = index % 2 == 1
        ending = ("jpg", "png", "jpeg", "png", "JPG")[index % 5]
        file = f"{'COVID' if ill else 'non-COVID'}/image ({index}).{ending}"
        if originals[ill] and rng.random() < _COPIES:
            place = int(rng.integers(len(originals[ill])))
            image = originals[ill][place]._replace(file=file, copy="picture")
        else:
            image = _Image(file, _draw(rng, ill), index)
            originals[ill].append(image)
        images.append(image)
    return images


def _draw(rng: np.random.Generator, ill: bool) -> np.ndarray:
    scores = np.zeros(6, int)
    while ill and scores.sum() < _SEVERE:
        scores = draw_scores(draw_patient(rng), rng)
    return scores


def _dicoms(n: int, seed: int) -> list[_Image]:
    """Two films of each patient in one folder; some files have no extension."""
    images = []
    exposures = brixia.plan(n, seed)
    for index, exposure in enumerate(exposures):
        patient = 1 + index // 2
        ill = patient % 2 == 0
        name = f"IM{index:06d}" if index % 3 == 2 else f"IM{index:06d}.dcm"
        file = f"{'COVID' if ill else 'NORMAL'}/P{patient:04d}/{name}"
        first = exposures[index - index % 2]
        exposure = exposure._replace(subject=patient, sex=first.sex, age=first.age)
        scores = _draw(np.random.default_rng([seed, 1, index]), ill)
        images.append(_Image(file, scores, index, exposure=exposure))
    return images


def _write_jpeg(path: Path, image: _Image, seed: int, size: int) -> None:
    rng = np.random.default_rng([seed, 2, image.film])
    pixels = _pixels(image, rng, int(size * rng.uniform(0.85, 1.0)), square=False)
    if image.copy == "picture":
        pixels = copied(pixels, rng)
    data = encoded(pixels, "jpg")
    if image.copy == "pixels":
        data = data[:2] + _COMMENT + data[2:]
    path.write_bytes(data)


def _write_square(path: Path, image: _Image, seed: int, size: int) -> None:
    rng = np.random.default_rng([seed, 2, image.film])
    pixels = _pixels(image, rng, size, square=True)
    if image.copy:
        small = copied(pixels, rng)
        pixels = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    path.write_bytes(encoded(pixels, path.suffix[1:]))


def _pixels(image: _Image, rng, size: int, square: bool) -> np.ndarray:
    film = draw_film(draw_chest(rng), image.scores, rng, size, square=square)
    return np.rint(film.picture * 255).astype(np.uint8)


def _write_dicom(path: Path, image: _Image, seed: int, size: int) -> None:
    """As in the BrixIA phantom, but the header names the patient and gives an age."""
    exposure = image.exposure
    rng = np.random.default_rng([seed, 2, image.film])
    chest = draw_chest(np.random.default_rng([seed, 3, exposure.subject]))
    picture = draw_film(chest, image.scores, rng, size, exposure.view).picture
    header = brixia.make_header(exposure, seed, picture.shape)
    header.PatientID = f"SYNTHETIC-{seed}-{exposure.subject:04d}"
    header.PatientAge = f"{5 * exposure.age:03d}Y"
    header.PixelData = brixia.store(picture, exposure.vendor).tobytes()
    header.save_as(path, enforce_file_format=True)
