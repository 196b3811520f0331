"""Builder of COVIDGR-1.0. What it holds is in README.md."""

import collections
import dataclasses
import functools
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common.build.builder import Plan, ReleaseBuilder
from tfds_builders.common.build.ingest import Example
from tfds_builders.common.build.listing import child, files, folders, skipped
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import (
    SUFFIXES,
    encode_png,
    read_grey,
    resize_longest,
)
from tfds_builders.common.patients import UNLISTED, read_patients
from tfds_builders.common.splits import by_split, split_of
from tfds_builders.common.tables import read_csv, refuse

LABELS = ("N", "P")
# NORMAL-PCR+ is a positive swab with a film that looks normal.
SEVERITIES = ("NEGATIVE", "NORMAL-PCR+", "MILD", "MODERATE", "SEVERE")
_TABLE = "severity.csv"


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images."""

    size: int = 512


class Image(NamedTuple):
    """One file of the release."""

    name: str  # the file name without its ending
    path: Path
    label: str
    severity: int  # index into SEVERITIES, -1 where the table has no row


class Builder(ReleaseBuilder):
    """TFDS builder; reads `N/`, `P/` and severity.csv."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        Config(
            name=str(size), description=f"longer side at most {size} pixels", size=size
        )
        for size in (512, 256)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Open https://dasci.es/es/transferencia/open-data/covidgr/ and follow what it
       says about COVIDGR-1.0.
    2. Unpack what you download. There is now a folder COVIDGR_1.0:
         COVIDGR_1.0/N/*.jpg          negative
         COVIDGR_1.0/P/*.jpg          positive
         COVIDGR_1.0/severity.csv     severity of the positive ones
    3. python -m tfds_builders.build covidgr --manual_dir=COVIDGR_1.0
    """

    EXPECTED = "COVIDGR release (a folder with N/ and P/)"

    @staticmethod
    def is_release(folder: Path) -> bool:
        """Whether it holds two of `N`, `P` and the table."""
        there = (child(folder, label).is_dir() for label in LABELS)
        return sum((*there, (folder / _TABLE).is_file())) >= 2

    def features(self) -> dict:
        """See README.md."""
        return {
            "image": tfds.features.Image(
                shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
            ),
            "label": tfds.features.ClassLabel(names=LABELS),
            "severity": tfds.features.ClassLabel(names=SEVERITIES),
            "view": tfds.features.Text(),
        }

    def plan(self, release: Path) -> Plan:
        """All images of `N` and `P`."""
        images, counts = _read_release(release)
        # The release names no patients: without patients.csv each image counts as one.
        patient_of = {image.name: image.name for image in images}
        patients = read_patients(release, patient_of)
        if patients is not None:
            counts[UNLISTED] = len(patient_of.keys() - patients.keys())
            patient_of |= patients
        return Plan(
            release="1.0",
            parts=by_split(
                images,
                split=lambda image: split_of(patient_of[image.name]),
                name=lambda image: image.name,
            ),
            patient_of=patient_of,
            unit="images" if patients is None else "patients",
            read=functools.partial(_read, size=self.builder_config.size),
            columns=_levels,
            counts=counts,
        )


def _read(image: Image, size: int) -> Example:
    pixels, notes = read_grey(image.path, colour=False)
    return Example(
        {
            "image": encode_png(resize_longest(pixels, size)),
            "label": image.label,
            "severity": image.severity,
            "view": "PA",
        },
        notes=notes,
    )


def _read_release(release: Path) -> tuple[list[Image], dict[str, int]]:
    """Images sorted by name, and counts."""
    found = {label: _pictures(release, label) for label in LABELS}
    both = sorted(found["N"].keys() & found["P"].keys())
    refuse(release, both, "file names are in both N and P", "Unpack the release again.")
    table = next(
        (p for p in (release / _TABLE, release.parent / _TABLE) if p.is_file()), None
    )
    if table is None:
        raise InputError(
            release,
            f"no {_TABLE}",
            f"Put {_TABLE} of the release beside the folders N and P.",
        )
    severity = _read_severity(table)
    refuse(
        table,
        sorted(severity.keys() & found["N"].keys()),
        "images in folder N have a severity",
        "Only positive images have one: check that N and P were not swapped.",
    )
    images = [Image(n, path, "N", 0) for n, path in found["N"].items()]
    images += [
        Image(n, path, "P", severity.get(n, -1)) for n, path in found["P"].items()
    ]
    counts = {
        "images_without_row": len(found["P"].keys() - severity.keys()),
        "rows_without_image": len(severity.keys() - found["P"].keys()),
        **skipped({label: child(release, label) for label in LABELS}, SUFFIXES),
    }
    return sorted(images), counts


def _pictures(release: Path, label: str) -> dict[str, Path]:
    folder = child(release, label)
    if not folder.is_dir():
        inside = ", ".join(f.name for f in folders(release))
        raise InputError(
            release,
            f"no folder {label}; found: {inside}",
            "The release is incomplete: unpack it again.",
        )
    pictures: dict[str, Path] = {}
    for path in files(folder, SUFFIXES):
        if path.stem in pictures:
            raise InputError(
                path,
                f"a second image of this name, beside {pictures[path.stem].name}",
                "Keep only the image of the release.",
            )
        pictures[path.stem] = path
    if not pictures:
        raise InputError(
            folder,
            "the folder contains no images",
            "The release is incomplete: unpack it again.",
        )
    return pictures


def _read_severity(table: Path) -> dict[str, int]:
    rows = read_csv(table, ("Name", "Severity"))
    names = [_stem(row["Name"]) for row in rows]
    again = "Copy the table from the release again."
    twice = sorted(n for n, k in collections.Counter(names).items() if k > 1)
    refuse(table, twice, "names appear more than once", again)
    known = SEVERITIES[1:]
    refuse(
        table,
        (
            f"line {i}: {row['Severity']!r}"
            for i, row in enumerate(rows, start=2)
            if row["Severity"].upper() not in known
        ),
        f"values of Severity other than {', '.join(known)}",
        again,
    )
    return {
        name: SEVERITIES.index(row["Severity"].upper())
        for name, row in zip(names, rows, strict=True)
    }


def _stem(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in SUFFIXES else name


def _levels(images) -> dict[str, int]:
    labels = collections.Counter(image.label for image in images)
    levels = collections.Counter(
        SEVERITIES[image.severity] for image in images if image.severity > 0
    )
    return {
        **{label: labels[label] for label in LABELS},
        **{level: levels[level] for level in SEVERITIES[1:]},
    }
