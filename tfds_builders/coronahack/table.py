"""Chest_xray_Corona_Metadata.csv: the labels of each image."""

import collections
from pathlib import Path, PurePath
from typing import NamedTuple

from tfds_builders.common.tables import read_csv, refuse

TABLE = "Chest_xray_Corona_Metadata.csv"
PARTS = ("TRAIN", "TEST")
CLASSES = (
    "Normal",
    "Bacterial pneumonia",
    "Viral pneumonia",
    "COVID-19",
    "SARS",
    "ARDS",
)
_COLUMNS = (
    "X_ray_image_name",
    "Label",
    "Dataset_type",
    "Label_2_Virus_category",
    "Label_1_Virus_category",
)
# By the three label columns, in lower case. Kaggle's file spells 'Pnemonia'; copies
# of it are corrected.
_CLASS_OF = {
    ("normal", "", ""): "Normal",
    ("pneumonia", "bacteria", ""): "Bacterial pneumonia",
    ("pneumonia", "bacteria", "streptococcus"): "Bacterial pneumonia",
    ("pneumonia", "virus", ""): "Viral pneumonia",
    ("pneumonia", "virus", "covid-19"): "COVID-19",
    ("pneumonia", "virus", "sars"): "SARS",
    ("pneumonia", "stress-smoking", "ards"): "ARDS",
}
_AGAIN = "Copy the table from the release again."


class Row(NamedTuple):
    """A row as written, and its class."""

    file_name: str
    part: str  # of PARTS
    label: str  # 'Normal', 'Pnemonia'
    label_1: str  # 'Virus', 'bacteria', 'Stress-Smoking', ''
    label_2: str  # 'COVID-19', 'SARS', 'Streptococcus', 'ARDS', ''
    diagnosis: str  # of CLASSES


def read_table(path: Path) -> list[Row]:
    """All rows. The first column, an index with gaps and without a name, is not read.

    Errors: InputError for labels and parts that are not known, and for pictures that
    are listed twice.
    """
    rows = read_csv(path, _COLUMNS)
    names = collections.Counter(PurePath(row["X_ray_image_name"]).stem for row in rows)
    refuse(
        path,
        sorted(name or "(none)" for name, n in names.items() if n > 1 or not name),
        "image names are empty or listed more than once",
        _AGAIN,
    )
    refuse(
        path,
        (
            f"{row['X_ray_image_name']}: {row['Dataset_type']!r}"
            for row in rows
            if row["Dataset_type"] not in PARTS
        ),
        f"rows have a Dataset_type other than {', '.join(PARTS)}",
        _AGAIN,
    )
    refuse(
        path,
        (
            f"{row['X_ray_image_name']}: {', '.join(map(repr, _labels(row)))}"
            for row in rows
            if _key(row) not in _CLASS_OF
        ),
        "rows have unknown labels (Label, Label_1, Label_2)",
        _AGAIN,
    )
    return [
        Row(
            row["X_ray_image_name"],
            row["Dataset_type"],
            *_labels(row),
            _CLASS_OF[_key(row)],
        )
        for row in rows
    ]


def _labels(row) -> tuple[str, str, str]:
    return row["Label"], row["Label_1_Virus_category"], row["Label_2_Virus_category"]


def _key(row) -> tuple[str, str, str]:
    label, label_1, label_2 = (text.lower() for text in _labels(row))
    return label.replace("pnemonia", "pneumonia"), label_1, label_2
