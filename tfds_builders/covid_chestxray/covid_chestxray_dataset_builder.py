"""Builder of the COVID-19 image data collection. What it holds is in README.md."""

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common.build.builder import Plan, ReleaseBuilder, by_class
from tfds_builders.common.build.ingest import Example
from tfds_builders.common.counts import count_of
from tfds_builders.common.errors import InputError
from tfds_builders.common.grouping import grouping
from tfds_builders.common.images import (
    Picture,
    encode_png,
    read_grey,
    read_mask,
    resize_longest,
)
from tfds_builders.common.splits import by_split, split_of
from tfds_builders.covid_chestxray.findings import CLASSES
from tfds_builders.covid_chestxray.layout import (
    IMAGES,
    Film,
    is_release,
    read_release,
)
from tfds_builders.covid_chestxray.table import ANSWERS, TABLE, patient_name

# Of a mask against its picture; both are rounded to whole pixels.
_ASPECT_TOLERANCE = 0.02


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images, and which of the radiographs."""

    size: int = 512
    all_views: bool = False
    masks: bool = False


class Builder(ReleaseBuilder):
    """TFDS builder; reads metadata.csv, `images/` and `annotations/`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        *(
            Config(
                name=f"{size}_all_views" if all_views else str(size),
                description=f"longer side at most {size} pixels; "
                + ("films of any view" if all_views else "frontal films (PA, AP)"),
                size=size,
                all_views=all_views,
            )
            for all_views in (False, True)
            for size in (512, 256)
        ),
        Config(
            name="segmentation",
            description="frontal films that have a lung mask, with it; longer side at "
            "most 512 pixels",
            masks=True,
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Open https://github.com/ieee8023/covid-chestxray-dataset and press Code,
       Download ZIP; or git clone --depth=1 of it.
    2. Unpack it. There is now a folder covid-chestxray-dataset-master:
         covid-chestxray-dataset-master/metadata.csv
         covid-chestxray-dataset-master/images/*
         covid-chestxray-dataset-master/annotations/*
    3. python -m tfds_builders.build covid_chestxray \\
         --manual_dir=covid-chestxray-dataset-master
    """

    EXPECTED = f"COVID-19 image data collection (a folder with {TABLE} and {IMAGES}/)"
    is_release = staticmethod(is_release)

    def features(self) -> dict:
        """See README.md."""
        text, number = tfds.features.Text(), np.float32
        picture = tfds.features.Image(
            shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
        )
        return {
            "image": picture,
            **({"mask": picture} if self.builder_config.masks else {}),
            "label": tfds.features.ClassLabel(names=CLASSES),
            "finding": text,
            "view": text,
            "sex": text,
            "age": number,
            "offset": number,
            "geographic_mean": number,
            "opacity_mean": number,
            **dict.fromkeys(ANSWERS, text),
            "location": text,
            "source": text,
            "license": text,
            "coloured": np.int32,
        }

    def plan(self, release: Path) -> Plan:
        """The radiographs of the config; patients and copies stay together."""
        edition, films, counts = read_release(release)
        wanted, left_out = self._wanted(films)
        if not wanted:
            why = ", ".join(f"{n} {count_of(k).text}" for k, n in left_out.items() if n)
            raise InputError(
                release,
                f"no radiograph for {self.name}/{self.builder_config.name}: {why}",
                "Download the repository again, with its folder annotations.",
            )
        # Over all films, so that a film is in the same split in every config.
        found = grouping(
            release,
            self.near_duplicates(films),
            {film.name: film.label for film in films},
            {film.name: patient_name(film.row) for film in films if film.row.patient},
        )
        config = self.builder_config
        return Plan(
            release=edition,
            parts=by_split(
                wanted,
                split=lambda film: split_of(found.patient_of[film.name]),
                name=lambda film: film.name,
            ),
            patient_of=found.patient_of,
            unit=found.unit,
            read=functools.partial(_read, size=config.size, masks=config.masks),
            columns=functools.partial(by_class, CLASSES),
            counts={
                **counts,
                **left_out,
                "images_without_licence": sum(not f.row.license for f in wanted),
                **found.counts,
            },
        )

    def _wanted(self, films: list[Film]) -> tuple[list[Film], dict[str, int]]:
        """Films of this config, and counts of the others."""
        config, left_out = self.builder_config, {}

        def keep(films, wanted, others):
            kept = [film for film in films if wanted(film)]
            left_out[others] = len(films) - len(kept)
            return kept

        if not config.all_views:
            films = keep(films, lambda f: f.row.view != "L", "lateral_left_out")
            films = keep(films, _is_frontal, "view_unknown_left_out")
        if config.masks:
            films = keep(films, lambda f: f.mask, "without_mask_left_out")
        return films, left_out


def _is_frontal(film: Film) -> bool:
    return film.row.view.startswith(("PA", "AP"))


def _read(film: Film, size: int, masks: bool) -> Example:
    pixels, notes = found = read_grey(film.path)
    picture = resize_longest(pixels, size)
    row = film.row
    features = {
        "image": encode_png(picture),
        "label": film.label,
        "finding": row.finding,
        "view": row.view,
        "sex": row.sex,
        "age": row.age,
        "offset": row.offset,
        **film.severity._asdict(),
        **dict(zip(ANSWERS, row.answers, strict=True)),
        "location": row.location,
        "source": row.source,
        "license": row.license,
        "coloured": int(found.coloured),
    }
    if masks:
        mask, more = _read_mask(film, pixels.shape)
        notes += more
        shape = picture.shape[::-1]
        mask = cv2.resize(mask, shape, interpolation=cv2.INTER_NEAREST)
        features["mask"] = encode_png(mask)
    return Example(features, notes=notes)


def _read_mask(film: Film, shape: tuple[int, int]) -> Picture:
    """0 and 255, of about the shape of the picture itself."""
    try:
        mask = read_mask(film.mask)
    except InputError as error:  # the rejected file is the image, not the mask
        found = f"its mask {film.mask.name}: {error.found}"
        raise InputError(film.path, found, error.hint) from error
    rows, columns = mask.pixels.shape
    if abs(rows * shape[1] / (columns * shape[0]) - 1) > _ASPECT_TOLERANCE:
        raise InputError(
            film.path,
            f"its mask {film.mask.name}: {columns} x {rows} pixels for {shape[1]} x "
            f"{shape[0]} pixels",
            "Copy the file from the repository again.",
        )
    return mask
