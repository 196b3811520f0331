"""Builder of the BrixIA COVID-19 dataset. What it holds is in README.md."""

import collections
import dataclasses
import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.brixia.table import (
    CONSENSUS,
    GLOBAL,
    check_files,
    read_consensus,
    read_global,
)
from tfds_builders.common.dicom import read_dicom
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import encode_png, resize_longest
from tfds_builders.common.parallel import in_order
from tfds_builders.common.release import files, find_release, is_synthetic, others
from tfds_builders.common.shards import shards
from tfds_builders.common.splits import SPLITS, by_split, fold_of, train_or_val
from tfds_builders.common.zones import ZONES

_IMAGES = "dicom_clean"
_POLARITY = "headers whose polarity is not the table's (the header is obeyed)"


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images, and who may be in train and val."""

    size: int = 512
    keep_test_subjects: bool = False


def _config(size: int, keep: bool) -> Config:
    text = f"longer side at most {size} pixels"
    if keep:
        text += "; subjects of the test set stay in train and val (leaks)"
    name = f"{size}_test_subjects_in_train" if keep else str(size)
    return Config(name=name, description=text, size=size, keep_test_subjects=keep)


class Builder(tfds.core.ShardBasedBuilder):
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

    # build.py puts a progress bar here.
    progress = staticmethod(lambda items, text: items)

    def __init__(self, *, file_format="array_record", **kwargs):
        # The only format of TFDS that is written and read without TensorFlow.
        super().__init__(file_format=file_format, **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        text, number = tfds.features.Text(), np.int32
        zones = (len(ZONES),)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(None, None, 1), dtype=np.uint16, encoding_format="png"
                    ),
                    "example_id": text,
                    "patient_id": text,
                    "study_id": text,
                    "fold": number,
                    "scores": tfds.features.Tensor(shape=zones, dtype=number),
                    "global_score": number,
                    "consensus_mean": tfds.features.Tensor(
                        shape=zones, dtype=np.float32
                    ),
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
            ),
            homepage="https://brixia.github.io",
            metadata=tfds.core.MetadataDict(),
        )

    def find_release(self, manual_dir: Path) -> Path:
        """The folder that holds `dicom_clean` and the tables."""
        return find_release(
            manual_dir,
            lambda folder: (
                (folder / _IMAGES).is_dir()
                or any((folder / name).is_file() for name in GLOBAL)
            ),
            f"BrixIA release (a folder with {_IMAGES}/ and {GLOBAL[0]})",
            "See 'Getting the data' in tfds_builders/brixia/README.md.",
        )

    def _shard_iterators_per_split(self, dl_manager):
        release = self.find_release(dl_manager.manual_dir)
        folder = release / _IMAGES
        table = next((release / n for n in GLOBAL if (release / n).is_file()), None)
        if table is None:
            raise InputError(
                release,
                f"{_IMAGES} is there, but neither {' nor '.join(GLOBAL)}",
                f"Put the csv files of the release beside {_IMAGES}.",
            )
        if not folder.is_dir():
            raise InputError(
                release,
                f"{table.name} is there, but no folder {_IMAGES}",
                "Join and unpack all parts of the archive: cat *.tar.gz.* | tar -xzv",
            )
        rows = read_global(table)
        check_files(table, rows, folder, [p.name for p in files(folder, (".dcm",))])
        has_consensus = (release / CONSENSUS).is_file()
        consensus = read_consensus(release / CONSENSUS) if has_consensus else {}

        test_subjects = {row.subject for row in rows if row.in_test_set}
        shared = [r for r in rows if r.subject in test_subjects and not r.in_test_set]
        if not self.builder_config.keep_test_subjects:
            rows = [r for r in rows if r.in_test_set or r.subject not in test_subjects]
        parts = by_split(
            rows,
            split=lambda r: "test" if r.in_test_set else train_or_val(r.subject),
            name=lambda r: r.file_name,
        )
        kept = self.builder_config.keep_test_subjects
        self.info.metadata.update(
            synthetic=is_synthetic(release),
            release=table.stem.rsplit("_", 1)[1],
            unit="patients",  # what a patient_id is
            splits={split: _summary(parts[split]) for split in SPLITS},
            counts={
                "test subjects with other images": len({r.subject for r in shared}),
                f"their images {'kept in' if kept else 'removed from'} train and val": (
                    len(shared)
                ),
                "test images without a consensus": sum(
                    r.file_name not in consensus for r in parts["test"]
                ),
                "rows of the consensus without a test image": len(
                    consensus.keys() - {r.file_name for r in parts["test"]}
                ),
                "files that are no .dcm, skipped": others(folder, (".dcm",)),
                _POLARITY: 0,
            },
        )
        return {
            split: shards(self._examples(split, part, folder, consensus), len(part))
            for split, part in parts.items()
            if part  # TFDS cannot store an empty split
        }

    def _examples(self, split, rows, folder, consensus):
        counts = self.info.metadata["counts"]
        absent = ((math.nan,) * len(ZONES), (-1,) * len(ZONES))

        def example(row):
            xray = read_dicom(folder / row.file_name)
            mean, mode = consensus.get(row.file_name, absent)
            return {
                "image": encode_png(
                    resize_longest(xray.pixels, self.builder_config.size)
                ),
                "example_id": row.file_name.removesuffix(".dcm"),
                "patient_id": row.subject,
                "study_id": row.study,
                "fold": fold_of(row.subject),
                "scores": np.array(row.scores, np.int32),
                "global_score": sum(row.scores),
                "consensus_mean": np.array(mean, np.float32),
                "consensus_mode": np.array(mode, np.int32),
                "sex": row.sex,
                "age_bin": row.age_bin,
                "modality": row.modality,
                "manufacturer": row.manufacturer,
                "view": xray.view,
                "photometric_interpretation": xray.photometric_interpretation,
                "bits_stored": xray.bits_stored,
                "rows": xray.rows,
                "columns": xray.columns,
            }

        examples = in_order(example, self.progress(rows, split))
        for row, stored in zip(rows, examples, strict=True):
            counts[_POLARITY] += (
                stored["photometric_interpretation"] != row.photometric_interpretation
            )
            yield row.file_name, stored


def _summary(rows) -> dict[str, float]:
    """What build.py prints about one split."""
    totals = collections.Counter(sum(row.scores) for row in rows)
    mean = sum(score * n for score, n in totals.items()) / max(len(rows), 1)
    return {
        "images": len(rows),
        "patients": len({row.subject for row in rows}),
        "mean score": round(mean, 2),
    }
