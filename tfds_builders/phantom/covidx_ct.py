"""A synthetic release in the format of COVIDx CT-2A: lists, metadata.csv, slices."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tfds_builders.phantom.opacity import noise
from tfds_builders.phantom.release import write_all

SIZE = 512
LAYOUTS = ("2A",)
LEAST = 9  # a patient for each list
_SLICES = 4  # of each patient, but for the last one
_KINDS = ("COVID-19", "Normal", "Pneumonia")  # in turn over the patients
_CLASSES = {"Normal": 0, "Pneumonia": 1, "COVID-19": 2}
_SPLITS = ("train", "val", "test", "train", "train")
# As released: only two sources have more than one class.
_SOURCES = {
    "COVID-19": ("CNCB", "COVID-CTSet", "radiopaedia.org", "iCTCF", "TCIA"),
    "Normal": ("CNCB", "COVID-CTSet", "LIDC-IDRI"),
    "Pneumonia": ("CNCB",),
}
_CNCB = {"COVID-19": "NCP", "Normal": "Normal", "Pneumonia": "CP"}
_COUNTRIES = {"CNCB": "China", "COVID-CTSet": "Iran", "iCTCF": "China"}
_TALL = {"radiopaedia.org": 1.25}  # height / width where a scan is not square
_COLUMNS = (
    "patient id,source,country,sex,age,finding,verified finding,slice selection,"
    "view,modality"
)


class _Patient(NamedTuple):
    number: int
    split: str
    kind: str
    source: str
    name: str  # as metadata.csv has it
    stem: str  # of the file names, before the number of the slice
    row: str


class _Slice(NamedTuple):
    index: int
    patient: _Patient
    name: str
    height: float  # where in the chest, 0 the top, 1 the bottom


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write covidxct/ into `folder` and return it."""
    release = folder / "covidxct"
    (release / "2A_images").mkdir(parents=True)
    slices = _plan(n, seed)
    boxes = write_all(
        lambda piece: _write_slice(release / "2A_images", piece, seed, size),
        slices,
        n,
        "COVIDx CT phantom",
    )
    for split in ("train", "val", "test"):
        rows = [
            f"{piece.name} {_CLASSES[piece.patient.kind]} {' '.join(map(str, box))}\n"
            for piece, box in zip(slices, boxes, strict=True)
            if piece.patient.split == split
        ]
        path = release / f"{split}_COVIDx_CT-{layout}.txt"
        path.write_bytes("".join(rows).encode())
    rows = {piece.patient.name: piece.patient.row for piece in slices}
    table = "\n".join([_COLUMNS, *(rows[name] for name in sorted(rows)), ""])
    (release / "metadata.csv").write_bytes(table.encode())
    return release


def _plan(n: int, seed: int) -> list[_Slice]:
    rng = np.random.default_rng([seed, 1])
    patients = [_draw_patient(k, rng) for k in range(-(-n // _SLICES))]
    slices = []
    for index in range(n):
        patient, k = patients[index // _SLICES], index % _SLICES
        digits = 5 if patient.source == "COVID-CTSet" else 4
        name = f"{patient.stem}{10 + k:0{digits}}.png"
        slices.append(_Slice(index, patient, name, 0.2 + 0.6 * k / _SLICES))
    return slices


def _draw_patient(number: int, rng: np.random.Generator) -> _Patient:
    kind = _KINDS[number % len(_KINDS)]
    sources = _SOURCES[kind]
    source = sources[number // len(_KINDS) % len(sources)]
    scan = int(rng.integers(1000, 10000))
    name, stem = _names(source, kind, number, scan)
    # As released: CNCB, the largest source, tells neither sex nor age.
    sex = age = ""
    if source not in ("CNCB", "LIDC-IDRI"):
        sex, age = "MF"[int(rng.integers(2))], str(int(rng.integers(18, 90)))
    chosen = "Expert" if kind != "Normal" else "N/A"
    row = f"{name},{source},{_COUNTRIES.get(source, '')},{sex},{age},{kind},Yes"
    split = _SPLITS[number % len(_SPLITS)]
    return _Patient(number, split, kind, source, name, stem, f"{row},{chosen},Axial,CT")


def _names(source: str, kind: str, number: int, scan: int) -> tuple[str, str]:
    """Patient id and the beginning of the file names, in the manner of a source."""
    if source == "COVID-CTSet":  # the id is in the middle
        group = "normal2" if kind == "Normal" else "137covid"
        return f"patient{number}", f"{group}_patient{number}_SR_2_IM"
    if source == "radiopaedia.org":
        return f"radiopaedia_{number}_{scan}", f"radiopaedia_{number}_{scan}_0-"
    if source == "iCTCF":
        return f"HUST-Patient{number}", f"HUST-Patient{number}-"
    if source == "TCIA":
        return f"volume-covid19-A-{number:04d}", f"volume-covid19-A-{number:04d}-"
    if source == "LIDC-IDRI":
        name = f"LIDC-IDRI-{number:04d}"
        return name, f"{name}-2.25.{scan}-"
    name = f"{ {'Normal': 'Normal', 'Pneumonia': 'CP', 'COVID-19': 'NCP'}[kind] }"
    return f"{name}_{number}", f"{name}_{number}_{scan}_"


def _write_slice(folder: Path, piece: _Slice, seed: int, size: int) -> list[int]:
    """The box around the body, as the lists have it."""
    patient = piece.patient
    shape = (size, round(size / _TALL.get(patient.source, 1.0)))
    body = np.random.default_rng([seed, 2, patient.number])
    rng = np.random.default_rng([seed, 3, piece.index])
    pixels, box = _draw(body, rng, piece.height, patient.kind, shape)
    if piece.index % 11 == 5:  # as released: some are stored with three channels
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    (folder / piece.name).write_bytes(data)
    return box


def _draw(
    body: np.random.Generator,
    rng: np.random.Generator,
    height: float,
    kind: str,
    shape: tuple[int, int],
) -> tuple[np.ndarray, list[int]]:
    """An axial slice in the lung window, uint8 [H, W], and the box around the body.

    body: what a patient's slices have in common; rng: what differs.
    height: 0 at the top of the lungs, 1 at their bottom; they are widest in between.
    """
    wide, deep = body.uniform(0.40, 0.52), body.uniform(0.28, 0.36)
    middle = np.array([body.normal(0.5, 0.02), body.normal(0.52, 0.02)])
    spread = np.sqrt(np.clip(1 - (1.6 * (height - 0.6)) ** 2, 0.15, 1))
    fields = [noise(rng, cells, shape) for cells in (9, 30, 90)]
    trunk = _ellipse(shape, middle, (wide, deep))
    inner = _ellipse(shape, middle, (wide * 0.9, deep * 0.88))
    lungs = [
        _ellipse(
            shape,
            middle + (side * wide * 0.46, -0.01),
            (wide * 0.38 * spread, deep * 0.74 * spread),
        )
        for side in (-1, 1)
    ]
    air = np.maximum(*lungs)
    heart = _ellipse(
        shape, middle + (0.03, -deep * 0.25), (wide * 0.3 * spread, deep * 0.38)
    )
    spine = _ellipse(shape, middle + (0.0, deep * 0.62), (0.055, 0.06))
    ring = trunk * (1 - inner) * (fields[0] > 0.6)  # ribs, where they are cut
    vessels = np.clip(fields[2] - 1.4, 0, 1)
    filled = np.clip(vessels + _disease(kind, body, lungs, fields), 0, 1)
    air = air * (1 - 0.9 * heart)
    tissue = 0.62 + 0.02 * fields[1] + 0.06 * heart
    picture = trunk * tissue * (1 - air) + air * (0.08 + 0.55 * filled)
    picture = np.maximum(picture, 0.95 * np.maximum(spine, ring * 0.9))
    picture += 0.015 * rng.standard_normal(shape, dtype=np.float32)
    rows, columns = (np.flatnonzero((trunk > 0.5).any(axis)) for axis in (1, 0))
    box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return pixels, [int(edge) for edge in box]


def _disease(kind: str, body, lungs, fields) -> np.ndarray:
    """Share of the air that is filled: nothing, one lobe, or patches at the wall."""
    coarse, middle, _ = fields
    if kind == "Normal":
        return np.zeros_like(coarse)
    cloud = 1 / (1 + np.exp(-4 * (coarse + 0.4 * middle)))
    if kind == "Pneumonia":
        return 1.6 * cloud * lungs[int(body.integers(2))]
    wall = 1 - cv2.GaussianBlur(np.maximum(*lungs), (0, 0), coarse.shape[1] / 22)
    return 1.3 * cloud * np.clip(1.8 * wall, 0, 1)


def _ellipse(shape: tuple[int, int], centre, radii) -> np.ndarray:
    """Soft mask [H, W] of an ellipse; centre and radii (x, y) as shares of the width."""
    height, width = shape
    top = (height - width) / 2 / width  # the picture's middle stays in the middle
    y, x = np.ogrid[:height, :width]
    x = (x / width - centre[0]) / radii[0]
    y = (y / width - top - centre[1]) / radii[1]
    distance = np.sqrt(x**2 + y**2)
    edge = 0.012 / min(radii)
    return np.clip((1 - distance) / edge + 0.5, 0, 1).astype(np.float32)
