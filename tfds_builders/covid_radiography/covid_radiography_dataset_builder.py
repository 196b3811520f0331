"""Builder of the COVID-19 Radiography Database. What it holds is in README.md."""

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common.build.builder import Plan, ReleaseBuilder, by_class
from tfds_builders.common.build.ingest import Example
from tfds_builders.common.grouping import grouping
from tfds_builders.common.images import (
    encode_png,
    read_grey,
    read_mask,
    resize_longest,
)
from tfds_builders.common.splits import by_split, split_of
from tfds_builders.covid_radiography.layout import (
    CLASSES,
    Image,
    is_release,
    read_release,
    walked,
    with_masks,
)


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images (the release has 299 x 299); lung masks.

    walked: class folders are walked with all below them, see `walked`.
    """

    size: int = 299
    masks: bool = False
    walked: bool = False


class Builder(ReleaseBuilder):
    """TFDS builder; reads the class folders of v4 and v5 and their xlsx files."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Near-duplicates that were cropped or flipped are found, so splits "
        "differ; config segmentation.",
        "1.0.0": "First version.",
    }
    BUILDER_CONFIGS: ClassVar = [
        *(
            Config(
                name=str(size),
                description=f"longer side at most {size} pixels",
                size=size,
            )
            for size in (299, 256)
        ),
        Config(
            name="segmentation",
            description="images that have a lung mask, with it, 299 pixels",
            masks=True,
        ),
        Config(
            name="walked",
            description="FAULTY, to repeat what was published: lung masks are images of "
            "their class, split by file name; only for configs/reproductions",
            walked=True,
        ),
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

    EXPECTED = f"COVID-19 Radiography Database (a folder with {', '.join(CLASSES)})"
    is_release = staticmethod(is_release)

    def features(self) -> dict:
        """See README.md."""
        picture = tfds.features.Image(
            shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
        )
        return {
            "image": picture,
            **({"mask": picture} if self.builder_config.masks else {}),
            "label": tfds.features.ClassLabel(names=CLASSES),
            "source": tfds.features.Text(),
        }

    def plan(self, release: Path) -> Plan:
        """All images, or those with a mask; near-duplicates stay together."""
        masks = self.builder_config.masks
        version, images, counts = read_release(release, masks)
        if self.builder_config.walked:
            return _as_walked(version, images, counts)
        found = grouping(
            release,
            self.near_duplicates(images, _pixels),
            {image.name: image.label for image in images},
        )
        if masks:
            # Only now, so that an image is in the same split in every config.
            masked = with_masks(release, images)
            counts["without_mask_left_out"] = len(images) - len(masked)
            images = masked
        return Plan(
            release=version,
            parts=by_split(
                images,
                split=lambda image: split_of(found.patient_of[image.name]),
                name=lambda image: image.name,
            ),
            patient_of=found.patient_of,
            unit=found.unit,
            read=functools.partial(_read, size=self.builder_config.size, masks=masks),
            columns=functools.partial(by_class, CLASSES),
            counts=counts | found.counts,
        )


def _as_walked(version: str, images: list[Image], counts: dict[str, int]) -> Plan:
    """As systems do that walk the class folders and hold out the end of each.

    Masks are images of their class; the last fifth of each class by file name is test,
    and the order is that of classes and names, so that a part of test is of one class.
    """
    files = walked(images)
    parts: dict[str, list[Image]] = {"train": [], "val": [], "test": []}
    for label in CLASSES:
        own = [image for image in files if image.label == label]
        held_out = len(own) // 5
        parts["train"] += own[: len(own) - held_out]
        parts["test"] += own[len(own) - held_out :]
    return Plan(
        release=version,
        parts=parts,
        patient_of={image.name: image.name for image in files},
        unit="images",
        read=functools.partial(_read, size=299, masks=False),
        columns=functools.partial(by_class, CLASSES),
        counts=counts | {"masks_taken_as_images": len(files) - len(images)},
    )


def _pixels(image: Image) -> np.ndarray:
    return read_grey(image.path, colour=False).pixels


def _read(image: Image, size: int, masks: bool) -> Example:
    pixels, notes = read_grey(image.path, colour=False)
    picture = resize_longest(pixels, size)
    features = {
        "image": encode_png(picture),
        "label": image.label,
        "source": image.source,
    }
    if masks:
        mask, more = read_mask(image.mask)
        # By nearest neighbour, so that all values are 0 or 255.
        shape = picture.shape[::-1]
        mask = cv2.resize(mask, shape, interpolation=cv2.INTER_NEAREST)
        features["mask"] = encode_png(mask)
        notes += more
    return Example(features, notes=notes)
