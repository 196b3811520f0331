"""Builder of BrixIA's public annotations. What it holds is in README.md."""

import collections
import dataclasses
import functools
import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.brixia_public.layout import (
    IMAGES,
    Film,
    is_release,
    read_release,
)
from tfds_builders.brixia_public.table import TABLE, authors_test
from tfds_builders.common.build.builder import Plan, ReleaseBuilder
from tfds_builders.common.build.ingest import Example
from tfds_builders.common.grouping import grouping
from tfds_builders.common.images import encode_png, read_grey, resize_longest
from tfds_builders.common.splits import by_split, split_of, train_or_val
from tfds_builders.common.zones import ZONES
from tfds_builders.covid_chestxray.table import patient_name


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images, and whose split."""

    size: int = 512
    original_split: bool = False


def _config(size: int, original: bool) -> Config:
    text = f"longer side at most {size} pixels"
    if original:
        text += "; the authors' split by image, with films of one patient on both sides"
    name = f"{size}_original_split" if original else str(size)
    return Config(name=name, description=text, size=size, original_split=original)


class Builder(ReleaseBuilder):
    """TFDS builder; reads public-annotations.csv and `public-cohen-subset/`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        _config(size, original) for original in (False, True) for size in (512, 256)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Open https://github.com/BrixIA/Brixia-score-COVID-19 and press Code, Download
       ZIP; or git clone --depth=1 of it.
    2. Unpack it. There is now a folder Brixia-score-COVID-19-master/data:
         data/public-annotations.csv
         data/public-cohen-subset/*
    3. So that films of one patient stay together, put metadata.csv of
       https://github.com/ieee8023/covid-chestxray-dataset into the folder data.
    4. python -m tfds_builders.build brixia_public \\
         --manual_dir=Brixia-score-COVID-19-master
    """

    EXPECTED = f"BrixIA public subset (a folder with {TABLE} and {IMAGES}/)"
    SUPERVISED = None
    is_release = staticmethod(is_release)

    def features(self) -> dict:
        """See README.md."""
        text, number = tfds.features.Text(), np.int32
        zones = tfds.features.Tensor(shape=(len(ZONES),), dtype=number)
        return {
            "image": tfds.features.Image(
                shape=(None, None, 1), dtype=np.uint8, encoding_format="png"
            ),
            "scores": zones,
            "global_score": number,
            "scores_junior": zones,
            "global_score_junior": number,
            "finding": text,
            "view": text,
            "sex": text,
            "age": np.float32,
            "source": text,
            "coloured": number,
        }

    def plan(self, release: Path) -> Plan:
        """All films found on disk; patients and copies stay together."""
        rows, films, counts = read_release(release)
        original = self.builder_config.original_split
        test = authors_test(release / TABLE, rows) if original else frozenset()
        found = grouping(
            release,
            self.near_duplicates(films),
            {film.name: str(sum(film.scores.senior)) for film in films},
            {
                film.name: patient_name(film.about)
                for film in films
                if film.about and film.about.patient
            },
            labels="scores",
        )
        patient_of = found.patient_of

        def split(film):
            if not original:
                return split_of(patient_of[film.name])
            if film.scores.file_name in test:
                return "test"
            return train_or_val(patient_of[film.name])

        if original:
            sides = collections.defaultdict(set)
            for film in films:
                sides[patient_of[film.name]].add(film.scores.file_name in test)
            counts["patients_across_released_split"] = sum(
                len(both) > 1 for both in sides.values()
            )
        return Plan(
            release=f"of {len(rows)} rows",
            parts=by_split(films, split=split, name=lambda film: film.name),
            patient_of=patient_of,
            unit=found.unit,
            read=functools.partial(_read, size=self.builder_config.size),
            columns=_mean_scores,
            counts=counts | found.counts,
        )


def _read(film: Film, size: int) -> Example:
    pixels, notes = found = read_grey(film.path)
    scores, about = film.scores, film.about
    return Example(
        {
            "image": encode_png(resize_longest(pixels, size)),
            "scores": np.array(scores.senior, np.int32),
            "global_score": sum(scores.senior),
            "scores_junior": np.array(scores.junior, np.int32),
            "global_score_junior": sum(scores.junior),
            "finding": about.finding if about else "",
            "view": about.view if about else "",
            "sex": about.sex if about else "",
            "age": about.age if about else math.nan,
            "source": about.source if about else "",
            "coloured": int(found.coloured),
        },
        notes=notes,
    )


def _mean_scores(films) -> dict[str, float]:
    n = max(len(films), 1)
    return {
        "mean score": round(sum(sum(film.scores.senior) for film in films) / n, 2),
        "junior's": round(sum(sum(film.scores.junior) for film in films) / n, 2),
    }
