"""A synthetic release in the format of COVIDGR-1.0 (JPEG and severity.csv)."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.release import write_all
from tfds_builders.phantom.scores import draw_patient, draw_scores

SIZE = 512
LAYOUTS = ("1.0",)
LEAST = 2  # one in N, one in P
_QUALITY = 90
# Rows of the real severity.csv, and the phantom's global score that stands for
# each level (COVIDGR was graded by RALE, not by Brixia's scheme). A patient who is
# positive by PCR may have a clear film.
SEVERITIES = {
    "NORMAL-PCR+": (76, 0, 0),
    "MILD": (100, 1, 6),
    "MODERATE": (171, 7, 12),
    "SEVERE": (79, 13, 18),
}


class _Image(NamedTuple):
    index: int
    label: str
    severity: str
    scores: np.ndarray


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write COVIDGR_1.0/ into `folder` and return it."""
    release = folder / "COVIDGR_1.0"
    for label in "NP":
        (release / label).mkdir(parents=True)
    images = _plan(n, seed)
    names = write_all(
        lambda image: _write_image(release / image.label, image, seed, size),
        images,
        n,
        "COVIDGR phantom",
    )
    rows = [
        f"{name},{image.severity}"
        for image, name in zip(images, names, strict=True)
        if image.label == "P"
    ]
    if len(rows) > 3:
        # As released: one positive image has no row, and one row has no image.
        ghost = hashlib.md5(f"covidgr phantom {seed}".encode()).hexdigest()
        rows[-1] = f"{ghost},MODERATE"
    table = "\n".join(["Name,Severity", *rows, ""])
    (release / "severity.csv").write_bytes(table.encode())
    return release


def _plan(n: int, seed: int) -> list[_Image]:
    """Half of the images positive; each image is another patient."""
    rng = np.random.default_rng([seed, 1])
    share = np.array([count for count, _, _ in SEVERITIES.values()], float)
    images = []
    for index in range(n):
        label = "PN"[index % 2]
        severity, scores = "", np.zeros(6, int)
        if label == "P":
            severity = str(rng.choice(list(SEVERITIES), p=share / share.sum()))
            _, low, high = SEVERITIES[severity]
            while high and not low <= scores.sum() <= high:
                scores = draw_scores(draw_patient(rng), rng)
        images.append(_Image(index, label, severity, scores))
    return images


def _write_image(folder: Path, image: _Image, seed: int, size: int) -> str:
    """The image's name: as in the release, the MD5 of something; here of the file."""
    rng = np.random.default_rng([seed, 2, image.index])
    longest = int(size * rng.uniform(0.85, 1.0))
    picture = draw_film(draw_chest(rng), image.scores, rng, longest).picture
    pixels = np.rint(picture * 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    data = jpeg.tobytes()
    name = hashlib.md5(data).hexdigest()
    (folder / f"{name}.jpg").write_bytes(data)
    return name
