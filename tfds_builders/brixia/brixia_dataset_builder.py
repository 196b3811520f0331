"""Builder of the BrixIA COVID-19 dataset. What it holds is in README.md."""

import dataclasses
import functools
import math
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.brixia.table import (
    CONSENSUS,
    GLOBAL,
    Consensus,
    Row,
    check_files,
    read_consensus,
    read_global,
)
from tfds_builders.common.build.builder import Plan, ReleaseBuilder
from tfds_builders.common.build.ingest import Example
from tfds_builders.common.build.listing import (
    by_name,
    child,
    files,
    renamed,
    skipped,
)
from tfds_builders.common.dicom.radiograph import read_radiograph
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import encode_png, resize_longest
from tfds_builders.common.splits import by_split, train_or_val
from tfds_builders.common.zones import ZONES

_IMAGES = "dicom_clean"


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images, and who may be in train and val."""

    size: int = 512
    keep_test_subjects: bool = False


def _config(size: int, keep: bool) -> Config:
    text = f"longer side at most {size} pixels"
    if keep:
        text += "; test subjects stay in train and val (leaks)"
    name = f"{size}_test_subjects_in_train" if keep else str(size)
    return Config(name=name, description=text, size=size, keep_test_subjects=keep)


class Film(NamedTuple):
    """One file of the release, its row, and the consensus where it has one."""

    name: str  # the file name without its ending
    path: Path
    row: Row
    consensus: Consensus


class Builder(ReleaseBuilder):
    """TFDS builder; reads `dicom_clean/` and the tables beside it."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        _config(size, keep) for keep in (False, True) for size in (512, 256)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Open https://brixia.github.io, section "Dataset", fill in the request form and
       accept the research use agreement. The download links come by e-mail.
    2. Download every part of the archive and the csv files into one empty folder.
    3. In a terminal, in that folder:  cat *.tar.gz.* | tar -xzv
       There is now a folder `dicom_clean` with about 4,700 .dcm files.
    4. Put the csv files beside it. Do not open and save them in a spreadsheet.
         my-folder/dicom_clean/*.dcm
         my-folder/metadata_global_v2.csv
         my-folder/metadata_consensus_v1.csv
    5. python -m tfds_builders.build brixia --manual_dir=my-folder
    """

    EXPECTED = f"BrixIA release (a folder with {_IMAGES}/ and {GLOBAL[0]})"
    SUPERVISED = None

    @staticmethod
    def is_release(folder: Path) -> bool:
        """Whether it holds `dicom_clean` or the tables."""
        return child(folder, _IMAGES).is_dir() or any(
            (folder / name).is_file() for name in GLOBAL
        )

    def features(self) -> dict:
        """See README.md."""
        text, number = tfds.features.Text(), np.int32
        zones = (len(ZONES),)
        return {
            "image": tfds.features.Image(
                shape=(None, None, 1), dtype=np.uint16, encoding_format="png"
            ),
            "study_id": text,
            "scores": tfds.features.Tensor(shape=zones, dtype=number),
            "global_score": number,
            "consensus_mean": tfds.features.Tensor(shape=zones, dtype=np.float32),
            "consensus_mode": tfds.features.Tensor(shape=zones, dtype=number),
            "sex": text,
            "age_bin": number,
            "modality": text,
            "manufacturer": text,
            "view": text,
            "photometric_interpretation": text,
            "bits_stored": number,
            "rows": number,
            "columns": number,
        }

    def plan(self, release: Path) -> Plan:
        """All films of the table; those of test subjects stay out of train and val."""
        folder, table = _release_files(release)
        pictures, rows = files(folder, (".dcm",)), read_global(table)
        path_of = by_name(pictures, [row.file_name for row in rows])
        check_files(table, rows, folder, pictures, path_of)
        has_consensus = (release / CONSENSUS).is_file()
        consensus = read_consensus(release / CONSENSUS) if has_consensus else {}
        test_subjects = {row.subject for row in rows if row.in_test_set}
        shared = [r for r in rows if r.subject in test_subjects and not r.in_test_set]
        kept = self.builder_config.keep_test_subjects
        if not kept:
            rows = [r for r in rows if r.in_test_set or r.subject not in test_subjects]
        tested = {row.file_name for row in rows if row.in_test_set}
        absent = Consensus((math.nan,) * len(ZONES), (-1,) * len(ZONES))
        films = [
            Film(
                row.file_name.removesuffix(".dcm"),
                path_of[row.file_name],
                row,
                consensus.get(row.file_name, absent),
            )
            for row in rows
        ]
        return Plan(
            release=table.stem.rsplit("_", 1)[1],
            parts=by_split(
                films,
                split=lambda film: (
                    "test" if film.row.in_test_set else train_or_val(film.row.subject)
                ),
                name=lambda film: film.row.file_name,
            ),
            patient_of={film.name: film.row.subject for film in films},
            unit="patients",
            read=functools.partial(
                _read, size=self.builder_config.size, polarity=self.options.polarity
            ),
            columns=_mean_score,
            counts={
                "test_subjects_with_other_images": len({r.subject for r in shared}),
                f"images_of_test_subjects_{'kept' if kept else 'left_out'}": len(
                    shared
                ),
                "consensus_missing": len(tested - consensus.keys()),
                "consensus_without_image": len(consensus.keys() - tested),
                **renamed(path_of),
                **skipped({"the release": folder}, (".dcm",)),
            },
        )


def _release_files(release: Path) -> tuple[Path, Path]:
    """The folder of the films, and the newest version of the table."""
    folder = child(release, _IMAGES)
    table = next((release / n for n in GLOBAL if (release / n).is_file()), None)
    if table is None:
        raise InputError(
            release,
            f"found {_IMAGES}, but neither {' nor '.join(GLOBAL)}",
            f"Put the csv files of the release beside {_IMAGES}.",
        )
    if not folder.is_dir():
        raise InputError(
            release,
            f"found {table.name}, but no folder {_IMAGES}",
            "Join and unpack all parts of the archive: cat *.tar.gz.* | tar -xzv",
        )
    return folder, table


def _read(film: Film, size: int, polarity: str) -> Example:
    xray, notes = read_radiograph(film.path, polarity)
    row = film.row
    differs = xray.photometric_interpretation != row.photometric_interpretation
    return Example(
        {
            "image": encode_png(resize_longest(xray.pixels, size)),
            "study_id": row.study,
            "scores": np.array(row.scores, np.int32),
            "global_score": sum(row.scores),
            "consensus_mean": np.array(film.consensus.mean, np.float32),
            "consensus_mode": np.array(film.consensus.mode, np.int32),
            "sex": row.sex,
            "age_bin": row.age_bin,
            "modality": row.modality,
            "manufacturer": row.manufacturer,
            "view": xray.view,
            "photometric_interpretation": xray.photometric_interpretation,
            "bits_stored": xray.bits_stored,
            "rows": xray.rows,
            "columns": xray.columns,
        },
        notes=(*notes, "dicom_polarity_not_tables") if differs else notes,
    )


def _mean_score(films) -> dict[str, float]:
    total = sum(sum(film.row.scores) for film in films)
    return {"mean score": round(total / max(len(films), 1), 2)}
