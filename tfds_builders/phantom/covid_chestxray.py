"""A synthetic release in the format of the COVID-19 image data collection."""

import csv
import gzip
import io
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tfds_builders.phantom import web_images
from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.release import write_all
from tfds_builders.phantom.scores import draw_patient, draw_scores, read_again

SIZE = 512
# Findings as paths; and as names, with the older spelling of the columns.
LAYOUTS = ("2020-10", "2020-06")
COLUMNS = (
    *("patientid", "offset", "sex", "age", "finding", "RT_PCR_positive", "survival"),
    *("intubated", "intubation_present", "went_icu", "in_icu"),
    *("needed_supplemental_O2", "extubated", "temperature", "pO2_saturation"),
    *("leukocyte_count", "neutrophil_count", "lymphocyte_count", "view", "modality"),
    *("date", "location", "folder", "filename", "doi", "url", "license"),
    *("clinical_notes", "other_notes"),
    "",  # every line ends with a comma
)
_OLD_SPELLING = {
    "needed_supplemental_O2": "needed_supplemental_o2",
    "pO2_saturation": "pO2 saturation",
    "leukocyte_count": "leukocyte count",
    "neutrophil_count": "neutrophil count",
    "lymphocyte_count": "lymphocyte count",
    "url": " url",
    "clinical_notes": "clinical notes",
    "other_notes": "other notes",
}
_NEW_COLUMNS = ("RT_PCR_positive", "intubation_present", "in_icu")

_COVID = "Pneumonia/Viral/COVID-19"
# Findings in either spelling, with the pattern of zones that is drawn for them. The
# first seven are the first seven films; then they come by chance, COVID-19 in half.
FINDINGS = (
    (_COVID, "COVID-19", "both lungs"),
    ("No Finding", "No Finding", "clear"),
    ("Pneumonia/Viral/SARS", "SARS", "interstitial"),
    ("Pneumonia/Bacterial/Streptococcus", "Streptococcus", "lobe"),
    ("Pneumonia/Fungal/Pneumocystis", "Pneumocystis", "interstitial"),
    ("Tuberculosis", "Tuberculosis", "apex"),
    ("Pneumonia", "Pneumonia", "lobe"),
    (_COVID, "COVID-19, ARDS", "both lungs"),
    ("Pneumonia/Viral/Herpes ", "Herpes pneumonia, ARDS", "interstitial"),
    ("Pneumonia/Bacterial/Klebsiella", "Klebsiella", "lobe"),
    ("Pneumonia/Lipoid", "Lipoid", "lobe"),
    ("Pneumonia", "ARDS", "both lungs"),
)
LEAST = 7
_ORIGINS = ("radiopaedia", "sirm", "eurorad", "journal")
_COVID_ORIGINS, _OTHER_ORIGINS = (0.4, 0.3, 0.2, 0.1), (0.7, 0.0, 0.3, 0.0)
_LICENSES = {"radiopaedia": "CC BY-NC-SA", "eurorad": "CC BY-NC-SA 4.0"}  # else none
_VIEWS = ("PA", "AP Supine", "AP", "AP semi erect", "AP erect")
_VIEW_SHARES = (0.5, 0.2, 0.2, 0.05, 0.05)
_FILMS, _FILM_SHARES = (1, 2, 3), (0.6, 0.25, 0.15)  # of one patient
_PLACES = ("Synthetic City, Nowhere", "Hôpital “Fantôme”, Nowhere", "")

# What a film is beside a frontal one, by its place in every 24 films.
_PERIOD = 24
_LATERAL, _CT, _TODO, _UNKNOWN, _NO_VIEW, _COPY, _TINTED, _UNLISTED = range(8, 16)
_CONTRADICTED, _DEEP, _NOT_QUITE_OPAQUE = range(16, 19)
_BACK = 8  # a copy shows the film so many before it
_COMMENTS = (
    "## COVID-19 Pneumonia Severity Scores (Mean of 3 expert raters)",
    "## License: none, a synthetic phantom",
    "## Citation: none, a synthetic phantom",
    "## geographic_extent_mean: from 0 to 8, with a comma",
    "## opacity_mean: from 0 to 6",
)


class _Drawing(NamedTuple):
    """What decides the pixels of a film; a copy has that of another film."""

    patient: int
    index: int
    levels: np.ndarray


class _Image(NamedTuple):
    index: int
    place: int
    row: dict[str, str]  # under COLUMNS
    drawing: _Drawing


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write covid-chestxray-dataset/ into `folder` and return it."""
    release = folder / "covid-chestxray-dataset"
    for name in ("images", "volumes", "annotations/lungVAE-masks"):
        (release / name).mkdir(parents=True)
    images = _plan(n, seed, layout)
    write_all(
        lambda image: _write_image(release, image, seed, size),
        images,
        n,
        "COVID-19 collection phantom",
    )
    _write_table(release / "metadata.csv", images, layout)
    volume = gzip.compress(b"not a volume: a phantom", mtime=0)
    (release / "volumes" / "phantom.nii.gz").write_bytes(volume)
    _write_severity(release / "annotations" / "covid-severity-scores.csv", images, seed)
    return release


def _plan(n: int, seed: int, layout: str) -> list[_Image]:
    rng = np.random.default_rng([seed, 1])
    shares = np.array([5.0 if path == _COVID else 1.0 for path, _, _ in FINDINGS])
    images: list[_Image] = []
    patient = 0
    while len(images) < n:
        one_of_each = len(images) < LEAST
        kind = rng.choice(len(FINDINGS), p=shares / shares.sum())
        path, name, pattern = FINDINGS[len(images) if one_of_each else kind]
        patient += 1
        severity = draw_patient(rng)
        person = _person(patient, path == _COVID, rng)
        person["finding"] = path if layout == LAYOUTS[0] else name
        day = int(rng.integers(-1, 10))
        for _ in range(1 if one_of_each else rng.choice(_FILMS, p=_FILM_SHARES)):
            index = len(images)
            place = index % _PERIOD
            drawing = _Drawing(patient, index, _levels(pattern, severity, rng))
            row = person | _film(index, day, place, seed, rng)
            if place == _COPY:
                drawing = images[-_BACK].drawing
                row["finding"] = images[-_BACK].row["finding"]
            images.append(_Image(index, place, row, drawing))
            day += int(rng.integers(1, 6))
    return images[:n]


def _person(patient: int, covid: bool, rng: np.random.Generator) -> dict[str, str]:
    """Cells that all films of a patient share."""
    origin = str(rng.choice(_ORIGINS, p=_COVID_ORIGINS if covid else _OTHER_ORIGINS))
    ill = str(rng.choice(["Y", "N", ""]))
    return {
        "patientid": f"{patient}{'a' if patient % 9 == 0 else ''}",
        "sex": str(rng.choice(["M", "F", ""], p=[0.55, 0.35, 0.1])),
        "age": str(rng.integers(20, 90)) if rng.random() < 0.75 else "",
        "RT_PCR_positive": str(rng.choice(["Y", "Unclear"])) if covid else "",
        "survival": str(rng.choice(["Y", "N", "", "?"], p=[0.3, 0.1, 0.5, 0.1])),
        "intubated": ill,
        "went_icu": ill,
        "needed_supplemental_O2": ill,
        "temperature": "38.5" if rng.random() < 0.2 else "",
        "date": str(rng.choice(["2020", "January 22, 2020", "2014", ""])),
        "location": str(rng.choice(_PLACES)),
        "url": f"https://www.{origin}.example/synthetic-phantom/case/{patient}?lang=us",
        "license": _LICENSES.get(origin, ""),
        "clinical_notes": 'Synthetic phantom, not a patient: "no cough",\nno fever',
    }


def _film(index: int, day: int, place: int, seed: int, rng) -> dict[str, str]:
    """Cells of one film, with the fault of its place."""
    name = web_images.file_name("covid_chestxray", seed, index, day)
    tube = str(rng.choice(["Y", "N", ""]))
    row = {
        "offset": str(day) if rng.random() < 0.7 else "",
        "intubation_present": tube,
        "in_icu": tube,
        "view": str(rng.choice(_VIEWS, p=_VIEW_SHARES)),
        "modality": "X-ray",
        "folder": "images",
        "filename": f"{name}.{web_images.ENDINGS[index % len(web_images.ENDINGS)]}",
    }
    return row | {
        _LATERAL: {"view": "L"},
        _CT: {"view": "Axial", "modality": "CT"},
        _TODO: {"finding": "todo"},
        _UNKNOWN: {"finding": "Unknown"},
        _NO_VIEW: {"view": str(rng.choice(["", "?"]))},
        _DEEP: {"filename": f"{name}.png"},
        _NOT_QUITE_OPAQUE: {"filename": f"{name}.png"},
    }.get(place, {})


def _levels(pattern: str, severity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Zone scores 0-3 that make the picture of a finding."""
    levels = np.zeros(6, int)
    if pattern == "both lungs":
        while levels.sum() < 4:
            levels = draw_scores(severity, rng)
            severity = severity + 0.2
    elif pattern == "interstitial":
        levels = rng.choice([1, 2], 6, p=[0.7, 0.3])
    elif pattern == "lobe":
        levels[rng.integers(6)] = 3
    elif pattern == "apex":
        levels[rng.choice([0, 3])] = 3
    return levels


def _write_image(release: Path, image: _Image, seed: int, size: int) -> None:
    drawing, path = image.drawing, release / "images" / image.row["filename"]
    chest = draw_chest(np.random.default_rng([seed, 2, drawing.patient]))
    rng = np.random.default_rng([seed, 3, drawing.index])
    longest = int(size * rng.uniform(0.8, 1.0))  # every web site has its own size
    view = image.row["view"][:2]
    film = draw_film(chest, drawing.levels, rng, longest, view, peripheral=True)
    pixels = np.rint(film.picture * 255).astype(np.uint8)
    if image.place == _COPY:
        pixels = web_images.copied(
            pixels, np.random.default_rng([seed, 4, image.index])
        )
    elif image.place == _LATERAL:  # not drawn: the half of a frontal film stands for it
        pixels = np.ascontiguousarray(pixels[:, : pixels.shape[1] // 2])
    elif image.place == _CT:
        pixels = _slice(longest)
    elif image.index % 3 == 0:
        mask = np.where(film.zones > 0, 255, 0).astype(np.uint8)
        name = f"{path.stem}_mask.png"
        mask_path = release / "annotations" / "lungVAE-masks" / name
        # Some of the release's masks have 28 to 183 grey values.
        mask = web_images.smooth(mask) if image.index % 2 else mask
        mask_path.write_bytes(web_images.encoded(mask, "png"))
    if image.place == _TINTED:
        pixels = web_images.tinted(pixels)
    data = {
        _DEEP: web_images.deep,
        _NOT_QUITE_OPAQUE: web_images.nearly_opaque,
    }.get(image.place, lambda p: web_images.encoded(p, path.suffix.removeprefix(".")))
    path.write_bytes(data(pixels))


def _slice(size: int) -> np.ndarray:
    """An axial slice: a body and two lungs in it."""
    pixels = np.zeros((size, size), np.uint8)
    half = size // 2
    cv2.ellipse(pixels, (half, half), (size * 9 // 20, size // 3), 0, 0, 360, 170, -1)
    for x in (size * 3 // 10, size * 7 // 10):
        cv2.ellipse(pixels, (x, half), (size // 7, size // 5), 0, 0, 360, 30, -1)
    return pixels


def _write_table(path: Path, images: list[_Image], layout: str) -> None:
    """metadata.csv: UTF-8 without a mark, LF, and an empty column at the end."""
    rows = [image.row for image in images if image.place != _UNLISTED]
    first = rows[0]
    rows += [
        first | {"filename": "phantom.nii.gz", "folder": "volumes", "modality": "CT"},
        first | {"filename": "phantom-lost.jpg"},
        first,  # a file name again, as five times in the fork of June 2020
    ]
    rows += [
        image.row | {"patientid": "0"}  # and as another patient's
        for image in images
        if image.place == _CONTRADICTED
    ]
    old = layout == LAYOUTS[1]
    columns = [name for name in COLUMNS if not (old and name in _NEW_COLUMNS)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_OLD_SPELLING.get(c, c) if old else c for c in columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    path.write_bytes(text.getvalue().encode())


def _write_severity(path: Path, images: list[_Image], seed: int) -> None:
    """Means of three readers, for one in four films of COVID-19, and a lost one."""
    rows = []
    for image in images:
        row = image.row
        if row["finding"].split("/")[-1] != "COVID-19" or image.index % 4:
            continue
        rng = np.random.default_rng([seed, 5, image.index])
        readings = [read_again(image.drawing.levels, rng).sum() for _ in range(3)]
        share = np.mean(readings) / 18
        rows.append(f"{row['filename']},{8 * share:.1f},{6 * share:.1f}")
    rows.append("phantom-lost.jpg,2.0,1.7")
    lines = [*_COMMENTS, "filename,geographic_mean,opacity_mean", *rows, ""]
    path.write_bytes("\n".join(lines).encode())
