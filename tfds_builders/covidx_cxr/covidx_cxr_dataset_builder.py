"""Builder of COVIDx CXR. What it holds is in README.md."""

import collections
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common.build.builder import Plan, ReleaseBuilder, by_class_and_source
from tfds_builders.common.build.ingest import Example
from tfds_builders.common.grouping import grouping
from tfds_builders.common.images import encode_png, read_grey, resize_longest
from tfds_builders.common.splits import by_split, split_of, train_or_val
from tfds_builders.covidx_cxr.layout import (
    LABELS,
    Image,
    is_release,
    read_release,
)


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images, the label set, and whose split."""

    size: int = 512
    labels: Sequence[str] = ()
    original_split: bool = False


def _config(size: int, kind: str, original: bool) -> Config:
    text = f"labels {', '.join(LABELS[kind])}; longer side at most {size} pixels"
    if original:
        text += "; the split of the lists, with patients and copies in train and test"
    parts = [str(size), kind, "original_split" if original else ""]
    return Config(
        name="_".join(filter(None, parts)),
        description=text,
        size=size,
        labels=LABELS[kind],
        original_split=original,
    )


class Builder(ReleaseBuilder):
    """TFDS builder; reads the lists of COVID-Net and the folders `train` and `test`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        _config(size, kind, original)
        for original in (False, True)
        for kind in LABELS
        for size in (512, 256)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Open https://www.kaggle.com/datasets/andyczhao/covidx-cxr2 and sign in (an
       account is free).
    2. Press Download and unpack the zip file into a folder covidx-cxr2. It has
         covidx-cxr2/train.txt, test.txt    the lists
         covidx-cxr2/train/, test/          the images
    3. python -m tfds_builders.build covidx_cxr --manual_dir=covidx-cxr2
    For lists of three classes or of severity, put those of COVID-Net's folder labels
    (https://github.com/lindawangg/COVID-Net) into covidx-cxr2/labels, and build
    covidx_cxr/512_three_classes or covidx_cxr/512_severity.
    """

    EXPECTED = "COVIDx release (a folder with train*.txt and test*.txt, or its labels)"
    is_release = staticmethod(is_release)

    def features(self) -> dict:
        """See README.md."""
        return {
            "image": tfds.features.Image(
                shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
            ),
            "label": tfds.features.ClassLabel(names=self.builder_config.labels),
            "source": tfds.features.Text(),
            "coloured": np.int32,
            "original_split": tfds.features.Text(),
        }

    def plan(self, release: Path) -> Plan:
        """All listed images; a patient, and all copies of an image, in one split."""
        config = self.builder_config
        found = read_release(release, config.labels)
        who = grouping(
            release,
            self.near_duplicates(found.images),
            {image.name: image.label for image in found.images},
            {image.name: image.patient for image in found.images},
        )
        patient_of = who.patient_of

        def split(image):
            patient = patient_of[image.name]
            if not config.original_split:
                return split_of(patient)
            if image.original_split == "train" and not found.has_val:
                return train_or_val(patient)
            return image.original_split

        return Plan(
            release=found.version,
            parts=by_split(found.images, split=split, name=lambda image: image.name),
            patient_of=patient_of,
            unit=who.unit,
            read=functools.partial(_read, size=config.size),
            columns=functools.partial(by_class_and_source, config.labels),
            counts={
                **found.counts,
                **who.counts,
                **_torn(found.images, patient_of),
            },
        )


def _read(image: Image, size: int) -> Example:
    pixels, notes = found = read_grey(image.path)
    return Example(
        {
            "image": encode_png(resize_longest(pixels, size)),
            "label": image.label,
            "source": image.source,
            "coloured": int(found.coloured),
            "original_split": image.original_split,
        },
        notes=notes,
    )


def _torn(images, patient_of) -> dict[str, int]:
    """Patients on both sides of the release's split, including copies."""
    splits = collections.defaultdict(set)
    for image in images:
        splits[patient_of[image.name]].add(image.original_split)
    torn = sum(len(some) > 1 for some in splits.values())
    return {"patients_across_released_split": torn}
