"""Builder of COVIDx CT. What it holds is in README.md."""

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common.build.builder import Plan, ReleaseBuilder, by_class_and_source
from tfds_builders.common.build.ingest import Example
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import encode_png, read_grey, resize_longest
from tfds_builders.common.patients import UNLISTED, join, read_patients
from tfds_builders.common.splits import by_split, split_of
from tfds_builders.covidx_ct.layout import LABELS, Slice, find_lists, read_release


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored slices, the box or the whole, and whose split."""

    size: int = 512
    cropped: bool = False
    original_split: bool = False


def _config(size: int, cropped: bool, original: bool) -> Config:
    text = f"{'the box' if cropped else 'whole slices'}, longer side at most {size}"
    if original:
        text += "; the release's own split (patients in two lists stay there)"
    parts = [str(size), "cropped" * cropped, "original_split" * original]
    return Config(
        name="_".join(filter(None, parts)),
        description=text,
        size=size,
        cropped=cropped,
        original_split=original,
    )


class Builder(ReleaseBuilder):
    """TFDS builder; reads three lists, metadata.csv and the folder of slices."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        _config(size, cropped, original)
        for original in (False, True)
        for cropped in (False, True)
        for size in (512, 256)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Open https://www.kaggle.com/datasets/hgunraj/covidxct and sign in (an account is
       free).
    2. Press Download: one zip file of about 30 GB. Unpack it into a folder covidxct:
         covidxct/2A_images/*.png
         covidxct/train_COVIDx_CT-2A.txt, val_COVIDx_CT-2A.txt, test_COVIDx_CT-2A.txt
         covidxct/metadata.csv
    3. python -m tfds_builders.build covidx_ct --manual_dir=covidxct
    """

    EXPECTED = (
        "COVIDx CT release (a folder with train_, val_ and test_COVIDx_CT-2A.txt)"
    )

    @staticmethod
    def is_release(folder: Path) -> bool:
        """Whether it holds lists of train, val and test."""
        return find_lists(folder) is not None

    def features(self) -> dict:
        """See README.md."""
        text = tfds.features.Text()
        return {
            "image": tfds.features.Image(
                shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
            ),
            "label": tfds.features.ClassLabel(names=LABELS),
            "box": tfds.features.Tensor(shape=(4,), dtype=np.int32),
            "source": text,
            "country": text,
            "sex": text,
            "age": np.float32,
            "finding": text,
            "verified_finding": text,
            "slice_selection": text,
            "view": text,
            "modality": text,
            "coloured": np.int32,
            "original_split": text,
        }

    def plan(self, release: Path) -> Plan:
        """All listed slices; those of a patient in one split.

        There is no search for near-duplicates: neighbouring slices are alike, and the
        release names the patients.
        """
        config = self.builder_config
        version, slices, counts = read_release(release)
        patient_of = {piece.name: piece.patient for piece in slices}
        listed = read_patients(release, patient_of)
        if listed is not None:
            counts[UNLISTED] = len(patient_of) - len(listed)
            # The name applies to all slices of that patient of the release.
            patient_of = join(patient_of, listed)

        def split(piece):
            if config.original_split:
                return piece.original_split
            return split_of(patient_of[piece.name])

        return Plan(
            release=version,
            parts=by_split(slices, split=split, name=lambda piece: piece.name),
            patient_of=patient_of,
            unit="patients",
            read=functools.partial(_read, size=config.size, cropped=config.cropped),
            columns=functools.partial(by_class_and_source, LABELS),
            counts=counts,
        )


def _read(piece: Slice, size: int, cropped: bool) -> Example:
    pixels, notes = found = read_grey(piece.path)
    height, width = pixels.shape
    xmin, ymin, xmax, ymax = box = piece.box
    if xmax > width or ymax > height:
        raise InputError(
            piece.path,
            f"its box {box} exceeds its {width} x {height} pixels",
            "Copy the image and the list from one release.",
        )
    if cropped:
        pixels = pixels[ymin:ymax, xmin:xmax]
        box = (0, 0, xmax - xmin, ymax - ymin)
    picture = resize_longest(pixels, size)
    about = piece.about
    return Example(
        {
            "image": encode_png(picture),
            "label": piece.label,
            "box": _scaled(box, pixels.shape, picture.shape),
            "source": about.source,
            "country": about.country,
            "sex": about.sex,
            "age": about.age,
            "finding": about.finding,
            "verified_finding": about.verified_finding,
            "slice_selection": about.slice_selection,
            "view": about.view,
            "modality": about.modality,
            "coloured": int(found.coloured),
            "original_split": piece.original_split,
        },
        notes=notes,
    )


def _scaled(box, old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """The smallest box of whole pixels that covers `box` after resizing, int32 [4].

    old, new: heights and widths.
    """
    (old_height, old_width), (height, width) = old, new
    xmin, ymin, xmax, ymax = box
    return np.array(
        (
            xmin * width // old_width,
            ymin * height // old_height,
            -(-xmax * width // old_width),
            -(-ymax * height // old_height),
        ),
        np.int32,
    )
