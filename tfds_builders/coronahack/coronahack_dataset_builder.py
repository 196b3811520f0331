"""Builder of CoronaHack. What it holds is in README.md."""

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common.build.builder import Plan, ReleaseBuilder, by_class
from tfds_builders.common.build.ingest import Example
from tfds_builders.common.grouping import grouping
from tfds_builders.common.images import encode_png, read_grey, resize_longest
from tfds_builders.common.splits import by_split, split_of, train_or_val
from tfds_builders.coronahack.layout import FOLDER, Image, is_release, read_release
from tfds_builders.coronahack.table import CLASSES, TABLE


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images; whose split."""

    size: int = 512
    original_split: bool = False


def _config(size: int, original: bool) -> Config:
    text = f"longer side at most {size} pixels"
    if original:
        text += "; train and test as released: that test set has no COVID-19"
    name = f"{size}_original_split" if original else str(size)
    return Config(name=name, description=text, size=size, original_split=original)


class Builder(ReleaseBuilder):
    """TFDS builder; reads the table and the folders `train` and `test`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        _config(size, original) for original in (False, True) for size in (512, 256)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Open https://www.kaggle.com/datasets/praveengovi/coronahack-chest-xraydataset
       and sign in (an account is free).
    2. Press Download. You get one zip file.
    3. Unpack it into an empty folder. It then holds
         my-folder/Chest_xray_Corona_Metadata.csv
         my-folder/Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset/train/
         my-folder/Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset/test/
    4. python -m tfds_builders.build coronahack --manual_dir=my-folder
    """

    EXPECTED = f"CoronaHack release (a folder with {TABLE} and {FOLDER}/)"
    is_release = staticmethod(is_release)

    def features(self) -> dict:
        """See README.md."""
        text = tfds.features.Text()
        return {
            "image": tfds.features.Image(
                shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
            ),
            "label": tfds.features.ClassLabel(names=CLASSES),
            "source": text,
            "age_group": text,
            "coloured": np.int32,
            "original_label": text,
            "original_label_1": text,
            "original_label_2": text,
            "original_split": text,
        }

    def plan(self, release: Path) -> Plan:
        """All images that have a row; children, articles and copies stay together."""
        images, counts = read_release(release)
        found = grouping(
            release,
            self.near_duplicates(images),
            {image.name: image.row.diagnosis for image in images},
            {i.name: i.origin.patient for i in images if i.origin.patient},
        )
        patient_of = found.patient_of
        counts |= found.counts
        if self.builder_config.original_split:
            counts["test_images_of_train_patients"] = _shared(images, patient_of)
            split = functools.partial(_original_split, patient_of)
        else:
            split = functools.partial(_split, patient_of)
        return Plan(
            release="Kaggle (praveengovi)",
            parts=by_split(images, split=split, name=lambda image: image.name),
            patient_of=patient_of,
            unit=found.unit,
            read=functools.partial(_read, size=self.builder_config.size),
            columns=functools.partial(by_class, CLASSES),
            counts=counts,
        )


def _split(patient_of: dict[str, str], image: Image) -> str:
    return split_of(patient_of[image.name])


def _original_split(patient_of: dict[str, str], image: Image) -> str:
    test = image.row.part == "TEST"
    return "test" if test else train_or_val(patient_of[image.name])


def _shared(images: list[Image], patient_of: dict[str, str]) -> int:
    trained = {patient_of[i.name] for i in images if i.row.part == "TRAIN"}
    tested = [patient_of[i.name] for i in images if i.row.part == "TEST"]
    return sum(patient in trained for patient in tested)


def _read(image: Image, size: int) -> Example:
    pixels, notes = found = read_grey(image.path)
    row, origin = image.row, image.origin
    return Example(
        {
            "image": encode_png(resize_longest(pixels, size)),
            "label": row.diagnosis,
            "source": origin.source,
            "age_group": origin.age_group,
            "coloured": int(found.coloured),
            "original_label": row.label,
            "original_label_1": row.label_1,
            "original_label_2": row.label_2,
            "original_split": row.part,
        },
        notes=notes,
    )
