"""A synthetic release in the format of BrixIA COVID-19 (DICOM and two tables)."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tfds_builders.common.zones import ZONES
from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.release import write_all
from tfds_builders.phantom.scores import draw_patient, draw_scores, read_again

SIZE = 512
LAYOUTS = ("v2", "v1")
LEAST = 1
TEST_SHARE = 0.15  # 3 % in the real release: too few to measure on a small phantom
READERS = 5

COLUMNS = (
    *("Filename", "StudyDate", "Modality", "Columns", "Rows", "Manufacturer"),
    *("PhotometricInterpretation", "BrixiaScore", "BrixiaScoreGlobal"),
    *("ConsensusTestset", "Subject", "StudyId", "Sex", "AgeAtStudyDateFiveYear"),
)
COLUMNS_V1 = (*COLUMNS[:-2], COLUMNS[-1], COLUMNS[-2])


class _Vendor(NamedTuple):
    """How one manufacturer's machines write the same film."""

    name: str
    share: float
    inverted: bool  # MONOCHROME1
    bits: int
    window: tuple[float, float] | None  # part of the stored range that holds the film
    rescale: tuple[float, float] | None  # slope, intercept


# Names and polarities as in the release; the rare ones are more frequent here, so
# that a small phantom holds them. Bit depths, windows and rescaling are invented.
VENDORS = (
    _Vendor("SIEMENS", 0.36, False, 12, (0.08, 0.86), None),
    _Vendor("CARESTREAM HEALTH", 0.28, True, 14, None, None),
    _Vendor("Agfa", 0.12, True, 12, None, (1, 0)),
    _Vendor("Carestream Health", 0.06, False, 16, None, None),
    _Vendor("KODAK", 0.05, False, 12, (0.1, 0.95), (1, -200)),
    _Vendor("Villa", 0.04, False, 14, (0.0, 0.7), None),
    _Vendor("Agfa-Gevaert", 0.04, True, 16, (0.15, 0.9), (1, 0)),
    _Vendor("FUJIFILM", 0.03, True, 10, None, None),
    _Vendor("DIGITEC", 0.02, False, 16, None, None),
)
_STORAGE = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
}


class Image(NamedTuple):
    index: int
    filename: str
    subject: int
    study: int
    first_of_subject: bool
    day: int
    vendor: _Vendor
    modality: str
    view: str
    sex: str
    age: int
    scores: np.ndarray


def write(folder: Path, n: int, seed: int, size: int, layout: str) -> Path:
    """Write dicom_clean/ and both tables into `folder`; returns the release folder."""
    images = plan(n, seed)
    (folder / "dicom_clean").mkdir()
    shapes = write_all(
        lambda image: _write_dicom(folder / "dicom_clean", image, seed, size),
        images,
        n,
        "BrixIA phantom",
    )
    test = _choose_test(images, seed)
    rows = [
        _row(image, shape, image.index in test)
        for image, shape in zip(images, shapes, strict=True)
    ]
    columns, separator = (COLUMNS, ";") if layout == "v2" else (COLUMNS_V1, ",")
    lines = [separator.join(columns)]
    lines += [separator.join(row[name] for name in columns) for row in rows]
    # As in the real file: byte order mark, LF, and no newline at the very end.
    table = folder / f"metadata_global_{layout}.csv"
    table.write_bytes("\n".join(lines).encode("utf-8-sig"))
    consensus = [_consensus(image, seed) for image in images if image.index in test]
    table = folder / "metadata_consensus_v1.csv"
    table.write_bytes("\n".join([_CONSENSUS, *consensus, ""]).encode("utf-8-sig"))
    return folder


def plan(n: int, seed: int) -> list[Image]:
    """Patients, their studies and films; scores are drawn before any picture."""
    rng = np.random.default_rng([seed, 1])
    shares = np.array([vendor.share for vendor in VENDORS])
    edges = np.cumsum(shares / shares.sum())
    images, subject, study, names = [], 0, 0, set()
    while len(images) < n:
        subject += 1
        severity = draw_patient(rng)
        sex = "M" if rng.random() < 0.7 else "F"
        age = int(np.clip(np.rint(rng.normal(12.5, 2.8)), 1, 19))
        day = int(rng.integers(0, 26))
        for k in range(rng.choice([1, 2, 3, 4, 5], p=[0.56, 0.22, 0.12, 0.06, 0.04])):
            if len(images) == n:
                break
            # Now and then a second film belongs to the same study.
            if k == 0 or rng.random() > 0.05:
                study += 1
                day += int(rng.integers(0, 4)) if k else 0
            index = len(images)
            name = _filename(seed, index)
            assert name not in names
            names.add(name)
            # The golden ratio spreads the vendors evenly over any run of images.
            at = (0.3 + index * 0.6180339887) % 1
            vendor = VENDORS[min(int(np.searchsorted(edges, at)), len(edges) - 1)]
            images.append(
                Image(
                    index=index,
                    filename=name,
                    subject=subject,
                    study=study - 1,
                    first_of_subject=k == 0,
                    day=min(day, 36),
                    vendor=vendor,
                    modality="CR" if rng.random() < 0.61 else "DX",
                    view=str(rng.choice(["AP", "PA", ""], p=[0.55, 0.07, 0.38])),
                    sex=sex,
                    age=age,
                    scores=draw_scores(severity, rng),
                )
            )
    return images


def _filename(seed: int, index: int) -> str:
    """Up to 20 digits, as in the release: more than an int64 can hold."""
    digest = hashlib.sha256(f"brixia phantom {seed} {index}".encode()).hexdigest()
    return f"{int(digest, 16) % 10 ** (20 - int(digest[0], 16) % 3)}.dcm"


def _choose_test(images: list[Image], seed: int) -> set[int]:
    """One film each of some patients, whose other films stay outside (as released).

    TEST_SHARE of the images, at least one of two; none when there is only one.
    """
    by_subject: dict[int, list[int]] = {}
    for image in images:
        by_subject.setdefault(image.subject, []).append(image.index)
    wanted = max(round(TEST_SHARE * len(images)), 1)
    wanted = min(wanted, len(by_subject), len(images) - 1)
    rng = np.random.default_rng([seed, 2])
    order = rng.permutation(sorted(by_subject))[:wanted]
    return {int(rng.choice(by_subject[int(subject)])) for subject in order}


def _row(image: Image, shape: tuple[int, int], test: bool) -> dict[str, str]:
    vendor = image.vendor
    day = 4 + image.day
    return {
        "Filename": image.filename,
        "StudyDate": f"202003{day:02d}" if day <= 31 else f"202004{day - 31:02d}",
        "Modality": image.modality,
        "Columns": str(shape[1]),
        "Rows": str(shape[0]),
        "Manufacturer": vendor.name,
        "PhotometricInterpretation": f"MONOCHROME{1 if vendor.inverted else 2}",
        "BrixiaScore": "".join(map(str, image.scores)),
        "BrixiaScoreGlobal": str(image.scores.sum()),
        "ConsensusTestset": str(int(test)),
        "Subject": f"P{image.subject:04d}",
        "StudyId": f"A{image.study:04d}",
        "Sex": image.sex,
        "AgeAtStudyDateFiveYear": str(image.age),
    }


_CONSENSUS = ",".join(
    ["Filename", *(f"Mean{z}" for z in ZONES), "MeanGlobal"]
    + [*(f"Mode{z}" for z in ZONES), "ModeGlobal"]
)


def _consensus(image: Image, seed: int) -> str:
    """Mean and mode of five readers who look at the film again."""
    rng = np.random.default_rng([seed, 3, image.index])
    reads = np.stack([read_again(image.scores, rng) for _ in range(READERS)])
    totals = reads.sum(0)  # fifths, so that the sums stay exact
    modes = np.array([np.bincount(zone, minlength=4).argmax() for zone in reads.T])
    means = [f"{fifths / READERS:g}" for fifths in (*totals, totals.sum())]
    return ",".join([image.filename, *means, *map(str, modes), str(modes.sum())])


def _write_dicom(folder: Path, image: Image, seed: int, size: int) -> tuple[int, int]:
    chest = draw_chest(np.random.default_rng([seed, 4, image.subject]))
    rng = np.random.default_rng([seed, 5, image.index])
    picture = draw_film(chest, image.scores, rng, size, image.view).picture
    header = make_header(image, seed, picture.shape)
    header.PixelData = store(picture, image.vendor).tobytes()
    header.save_as(folder / image.filename, enforce_file_format=True)
    return picture.shape


def store(picture: np.ndarray, vendor: _Vendor) -> np.ndarray:
    """Stored values [H, W] uint16 which decode to `picture`."""
    low, high = vendor.window or (0.0, 1.0)
    film = 1 - picture if vendor.inverted else picture
    return np.rint((low + (high - low) * film) * (2**vendor.bits - 1)).astype("<u2")


def make_header(image: Image, seed: int, shape: tuple[int, int]) -> Dataset:
    vendor, row = image.vendor, _row(image, shape, False)

    def uid(*parts) -> str:
        return generate_uid(
            entropy_srcs=["brixia phantom", str(seed), *map(str, parts)]
        )

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _STORAGE[image.modality]
    meta.MediaStorageSOPInstanceUID = uid("image", image.index)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = generate_uid(entropy_srcs=["cxr_jax phantom"])
    meta.ImplementationVersionName = "CXR_JAX_PHANTOM"
    header = Dataset()
    header.file_meta = meta
    header.SpecificCharacterSet = "ISO_IR 100"
    header.ImageType = ["DERIVED", "PRIMARY"]
    header.SOPClassUID = meta.MediaStorageSOPClassUID
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    header.StudyDate = row["StudyDate"]
    header.StudyTime = ""
    header.AccessionNumber = ""
    header.Modality = image.modality
    header.PresentationIntentType = "FOR PRESENTATION"
    header.Manufacturer = vendor.name
    header.ReferringPhysicianName = ""
    header.PatientName = "SYNTHETIC"
    header.PatientID = "SYNTHETIC"
    header.PatientBirthDate = ""
    header.PatientSex = image.sex
    header.BodyPartExamined = "CHEST"
    header.ViewPosition = image.view
    header.StudyInstanceUID = uid("study", image.study)
    header.SeriesInstanceUID = uid("series", image.index)
    header.StudyID = row["StudyId"]
    header.SeriesNumber = 1
    header.InstanceNumber = 1
    header.ImageComments = "synthetic phantom, not a patient"
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = row["PhotometricInterpretation"]
    header.Rows, header.Columns = shape
    header.BitsAllocated = 16
    header.BitsStored = vendor.bits
    header.HighBit = vendor.bits - 1
    header.PixelRepresentation = 0
    header.BurnedInAnnotation = "NO"
    slope, intercept = vendor.rescale or (1, 0)
    if vendor.rescale:
        header.RescaleIntercept = str(intercept)
        header.RescaleSlope = str(slope)
        header.RescaleType = "US"
    if vendor.window:
        # PS3.3 C.11.2.1.2: the window maps [c - w/2, c - 1 + w/2] to the full range.
        low, high = (
            round(part * (2**vendor.bits - 1)) * slope + intercept
            for part in vendor.window
        )
        header.WindowCenter = f"{(low + high + 1) / 2:g}"
        header.WindowWidth = f"{high - low + 1:g}"
    return header
