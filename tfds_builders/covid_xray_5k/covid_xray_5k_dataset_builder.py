"""Builder of COVID-XRay-5K. What it holds is in README.md."""

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
from tfds_builders.covid_xray_5k.copies import (
    identical,
    stored_once,
    tested_and_trained,
)
from tfds_builders.covid_xray_5k.layout import (
    CLASSES,
    Image,
    is_release,
    read_release,
)

_SOURCES = {"covid": "Cohen", "non": "CheXpert"}


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images; whose split."""

    size: int = 512
    original_split: bool = False


def _config(size: int, original: bool) -> Config:
    text = f"longer side at most {size} pixels"
    if original:
        text += (
            "; train and test as released, which leaks: files of test are "
            "byte-identical to files of train"
        )
    name = f"{size}_original_split" if original else str(size)
    return Config(name=name, description=text, size=size, original_split=original)


class Builder(ReleaseBuilder):
    """TFDS builder; reads `covid` and `non` in the folders `train` and `test`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        _config(size, original) for original in (False, True) for size in (512, 256)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Open https://github.com/shervinmin/DeepCovid, folder data, and follow the link
       of its readme. You get data_upload_v3.zip (or data_covid5k.zip).
    2. Unpack it. There is now a folder data:
         data/train/covid/  data/train/non/  data/test/covid/  data/test/non/
       Do not make a folder val in it.
    3. python -m tfds_builders.build covid_xray_5k --manual_dir=data
    """

    EXPECTED = "COVID-XRay-5K release (a folder with train/ and test/, each with covid/ and non/)"
    is_release = staticmethod(is_release)

    def features(self) -> dict:
        """See README.md."""
        text = tfds.features.Text()
        return {
            "image": tfds.features.Image(
                shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
            ),
            "label": tfds.features.ClassLabel(names=CLASSES),
            "finding": text,
            "source": text,
            "coloured": np.int32,
            "original_split": text,
        }

    def plan(self, release: Path) -> Plan:
        """Every image once; every file in the configs with the released split."""
        images, counts = read_release(release)
        group_of = self.near_duplicates(images)
        # Over all files, so that patients.csv may name any of them.
        found = grouping(
            release,
            group_of,
            {image.name: image.label for image in images},
            {image.name: image.patient for image in images if image.patient},
        )
        patient_of = found.patient_of
        same = identical(images, group_of)
        counts |= found.counts
        counts["test_files_identical_to_train"] = tested_and_trained(same)
        if self.builder_config.original_split:
            counts["test_images_of_train_patients"] = _shared(images, patient_of)
            split = functools.partial(_original_split, patient_of)
        else:
            kept = stored_once(images, same)
            counts["identical_files_left_out"] = len(images) - len(kept)
            images = kept
            split = functools.partial(_split, patient_of)
        return Plan(
            release="DeepCovid",
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
    test = image.part == "test"
    return "test" if test else train_or_val(patient_of[image.name])


def _shared(images: list[Image], patient_of: dict[str, str]) -> int:
    trained = {patient_of[i.name] for i in images if i.part == "train"}
    return sum(i.part == "test" and patient_of[i.name] in trained for i in images)


def _read(image: Image, size: int) -> Example:
    pixels, notes = found = read_grey(image.path)
    return Example(
        {
            "image": encode_png(resize_longest(pixels, size)),
            "label": image.label,
            "finding": image.finding,
            "source": _SOURCES[image.label],
            "coloured": int(found.coloured),
            "original_split": image.part,
        },
        notes=notes,
    )
