"""Builder of the COVID-19 Radiography Database. What it holds is in README.md."""

import collections
import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common.duplicates import groups, thumbnail
from tfds_builders.common.images import (
    encode_png,
    read_picture_8bit,
    resize_longest,
)
from tfds_builders.common.parallel import in_order
from tfds_builders.common.patients import UNLISTED, join, read_patients
from tfds_builders.common.release import find_release, is_synthetic
from tfds_builders.common.shards import shards
from tfds_builders.common.splits import SPLITS, by_split, fold_of, split_of
from tfds_builders.covid_radiography.layout import CLASSES, is_release, read_release


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images; the release has 299 x 299."""

    size: int = 299


class Builder(tfds.core.ShardBasedBuilder):
    """TFDS builder; reads the class folders of v4 and v5 and their xlsx files."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        Config(
            name=str(size), description=f"longer side at most {size} pixels", size=size
        )
        for size in (299, 256)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Open https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database
       and sign in (an account is free).
    2. Press Download. You get one zip file of about 800 MB.
    3. Unpack it. There is now a folder COVID-19_Radiography_Dataset with the folders
       COVID, Lung_Opacity, Normal, Viral Pneumonia and four .xlsx files.
    4. python -m tfds_builders.build covid_radiography \\
         --manual_dir=COVID-19_Radiography_Dataset
    """

    # build.py puts a progress bar here.
    progress = staticmethod(lambda items, text: items)

    def __init__(self, *, file_format="array_record", **kwargs):
        # The only format of TFDS that is written and read without TensorFlow.
        super().__init__(file_format=file_format, **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
                    ),
                    "example_id": tfds.features.Text(),
                    "patient_id": tfds.features.Text(),
                    "fold": np.int32,
                    "label": tfds.features.ClassLabel(names=CLASSES),
                    "source": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=(
                "https://www.kaggle.com/datasets/tawsifurrahman/"
                "covid19-radiography-database"
            ),
            metadata=tfds.core.MetadataDict(),
        )

    def find_release(self, manual_dir: Path) -> Path:
        """The folder that holds the class folders."""
        return find_release(
            manual_dir,
            is_release,
            f"COVID-19 Radiography Database (a folder with {', '.join(CLASSES)})",
            "See 'Getting the data' in tfds_builders/covid_radiography/README.md.",
        )

    def _shard_iterators_per_split(self, dl_manager):
        release = self.find_release(dl_manager.manual_dir)
        version, images, counts = read_release(release)
        patients = read_patients(release, (image.name for image in images))
        group_of = self._groups(images)
        members = collections.Counter(group_of.values())
        classes = collections.defaultdict(set)
        for image in images:
            classes[group_of[image.name]].add(image.label)
        unit, patient_of = "near-duplicate groups", group_of
        if patients is not None:
            unit, patient_of = "patients", join(group_of, patients)
            counts[UNLISTED] = len(images) - len(patients)
        parts = by_split(
            images,
            split=lambda image: split_of(patient_of[image.name]),
            name=lambda image: image.name,
        )
        self.info.metadata.update(
            synthetic=is_synthetic(release),
            release=version,
            unit=unit,  # what a patient_id is
            splits={
                split: _summary(parts[split], patient_of, unit) for split in SPLITS
            },
            counts=counts
            | {
                "groups of near-duplicates, each kept in one split": sum(
                    n > 1 for n in members.values()
                ),
                "images in these groups": sum(n for n in members.values() if n > 1),
                "groups of near-duplicates with more than one class": sum(
                    len(labels) > 1 for labels in classes.values()
                ),
            },
        )
        return {
            split: shards(self._examples(split, part, patient_of), len(part))
            for split, part in parts.items()
            if part  # TFDS cannot store an empty split
        }

    def _groups(self, images) -> dict[str, str]:
        """Near-duplicate group of each image, over the whole release.

        The files name no patients; copies of one picture are all that can be told.
        """
        names = [image.name for image in images]
        paths = [image.path for image in images]
        thumbnails = in_order(
            lambda path: thumbnail(read_picture_8bit(path)),
            self.progress(paths, "looking for copies"),
        )
        return dict(zip(names, groups(names, np.stack(list(thumbnails))), strict=True))

    def _examples(self, split, images, patient_of):
        def example(image):
            pixels = read_picture_8bit(image.path)
            patient = patient_of[image.name]
            return image.name, {
                "image": encode_png(resize_longest(pixels, self.builder_config.size)),
                "example_id": image.name,
                "patient_id": patient,
                "fold": fold_of(patient),
                "label": image.label,
                "source": image.source,
            }

        yield from in_order(example, self.progress(images, split))


def _summary(images, patient_of, unit) -> dict[str, int]:
    """What build.py prints about one split."""
    labels = collections.Counter(image.label for image in images)
    return {
        "images": len(images),
        unit: len({patient_of[image.name] for image in images}),
        **{label: labels[label] for label in CLASSES},
    }
