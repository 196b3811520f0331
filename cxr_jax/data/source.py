"""A split of a prepared dataset: its pictures by index, its other columns as arrays."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import cv2
import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError
from ml_collections import ConfigDict

from cxr_jax.data import records
from tfds_builders import DATASETS
from tfds_builders.common import array_record, splits
from tfds_builders.common.errors import InputError

SQUARES = ("stretch", "pad")
RESIDENCIES = ("auto", "disk", "host", "device")


class Split(NamedTuple):
    """Examples of one role.

    Attributes:
      dataset: 'brixia', the name without its config.
      split: 'test', as asked for.
      read: position -> {'image': PNG bytes} of one example, and its other pictures.
      rows: int64 [N], the positions that belong to this split.
      table: every column but the image, each with N rows: numbers as arrays, texts as
        lists of str.
      label_names: {column: names} of the columns that are class labels.
      unit: what a `patient_id` stands for: 'patients', 'images' (one per patient is
        assumed) or 'near-duplicate groups'.
      synthetic: the pictures are phantoms.
      pictures: names of those that a batch holds: 'image', and 'mask' of the lungs.
      pixels: {name of a picture: [N, size, size, 1]} where they are held in memory.
    """

    dataset: str
    split: str
    read: Any
    rows: np.ndarray
    table: dict[str, Any]
    label_names: dict[str, tuple[str, ...]]
    unit: str
    synthetic: bool
    pictures: tuple[str, ...] = ("image",)
    pixels: dict[str, np.ndarray] | None = None

    @property
    def size(self) -> int:
        return len(self.rows)


def open_builder(name: str, data_dir: str = ""):
    """The prepared dataset `name[/config]`, newest version, read from its folder.

    Raises:
      InputError: it is not there; says how to prepare it, or to try the phantom.
    """
    array_record.require()
    where = pathlib.Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    folder = _newest_version(where / name) or _newest_version(
        where / name / _default_config(where / name)
    )
    if folder is None:
        raise InputError(
            where,
            f"holds no prepared dataset {name!r}",
            _how_to_prepare(name, data_dir),
        )
    with _damage_explained(folder):
        return tfds.builder_from_directory(folder)


def _how_to_prepare(name: str, data_dir: str) -> str:
    dataset = name.split("/")[0]
    if dataset not in DATASETS:
        return f"there is a builder for each of: {', '.join(DATASETS)}"
    flag = f" --data_dir={data_dir}" if data_dir else ""
    return (
        f"prepare it: python -m tfds_builders.build {name} --manual_dir=DIR{flag}\n"
        f"     without the data: --config.data.phantom=400 draws synthetic films, and\n"
        f"     python -m tfds_builders.phantom "
        f"{dataset} DIR --n=200 writes a release to build from"
    )


def _newest_version(folder: pathlib.Path) -> pathlib.Path | None:
    """The subfolder '1.2.0' with the highest number that holds a whole dataset."""
    versions = [
        path.parent
        for path in folder.glob("*/features.json")
        if tfds.core.Version.is_valid(path.parent.name)
    ]
    return max(versions, key=lambda v: tfds.core.Version(v.name), default=None)


def _default_config(folder: pathlib.Path) -> str:
    # TFDS notes the default config beside the prepared ones.
    path = folder / ".config" / "metadata.json"
    return json.loads(path.read_text())["default_config_name"] if path.exists() else ""


def describe(builder) -> dict[str, Any]:
    """What identifies the data of a run: full name, version, what was built."""
    return {
        "name": builder.info.full_name,
        "version": str(builder.info.version),
        "built": {
            name: {"examples": info.num_examples, "bytes": info.num_bytes}
            for name, info in sorted(builder.info.splits.items())
        },
        "synthetic": is_synthetic(builder),
    }


def fingerprint(split: Split) -> dict[str, Any]:
    """Size of a split, and a hash of all its columns but the pixels, in any order."""
    names = sorted(split.table)
    columns = (np.asarray(split.table[name]).tolist() for name in names)
    rows = sorted(repr(row) for row in zip(*columns, strict=True))
    digest = hashlib.sha256("\n".join([repr(names), *rows]).encode())
    return {
        "images": split.size,
        split.unit: len(set(split.table["patient_id"])),
        "sha256": digest.hexdigest(),
    }


def is_synthetic(builder) -> bool:
    """The release it was built from is a phantom."""
    return bool((builder.info.metadata or {}).get("synthetic", False))


def load(builder, split: str, masks: bool = False) -> Split:
    """Opens one split.

    Args:
      builder: of `open_builder`.
      split: 'train', 'test', 'train+val', 'train[:50%]', 'all': as TFDS reads it.
      masks: lung masks go with the images.

    Raises:
      InputError: no such split, nothing in it, no masks, or files that cannot be read.
    """
    known = ", ".join(
        f"{name} ({info.num_examples})" for name, info in builder.info.splits.items()
    )
    try:
        source = builder.as_data_source(
            split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
        size = len(source)
    except (ValueError, KeyError, AssertionError) as error:
        raise InputError(
            builder.info.full_name,
            f"has no split {split!r} ({str(error).splitlines()[0]})",
            f"it has: {known}; set config.data.train, .val or .test, or draw them by "
            "patient with config.data.fold=0",
        ) from None
    if not size:
        raise InputError(
            builder.info.full_name, f"split {split!r} is empty", f"it has: {known}"
        )
    layout = records.layout(builder.info.features)
    wanted = ("image", "mask") if masks else ("image",)
    if not set(wanted) <= set(layout.pictures):
        raise InputError(
            builder.info.full_name,
            f"has no lung masks (its pictures: {', '.join(layout.pictures)})",
            "set config.data.dataset=covid_radiography/segmentation, or "
            "config.data.masks=False",
        )
    with _damage_explained(builder.data_dir):
        table = records.table(source, layout.columns)
    return Split(
        dataset=builder.name,
        split=split,
        read=lambda position: records.pictures(source[position], layout.pictures),
        rows=np.arange(size),
        table=table,
        label_names={
            name: tuple(feature.names)
            for name, feature in builder.info.features.items()
            if isinstance(feature, tfds.features.ClassLabel)
        },
        unit=(builder.info.metadata or {}).get("unit", "patients"),
        synthetic=is_synthetic(builder),
        pictures=wanted,
    )


def by_fold(whole: Split, fold: int) -> dict[str, Split]:
    """Cross-validation: train, val and test anew, with the stored `fold` as test.

    Args:
      whole: the split 'all'.
      fold: 0..4. A patient of another fold is val or train by his hash.

    Raises:
      InputError: no such fold, or nothing falls into one of the three.
    """
    if fold not in range(splits.FOLDS):
        raise InputError(
            "config.data.fold", str(fold), f"folds are 0..{splits.FOLDS - 1}, or -1"
        )
    if "fold" not in whole.table:
        raise InputError(whole.dataset, "stores no folds", "use config.data.fold=-1")
    roles = np.array(
        [
            "test" if its == fold else splits.train_or_val(patient)
            for its, patient in zip(
                whole.table["fold"], whole.table["patient_id"], strict=True
            )
        ]
    )
    return {
        role: take(whole, np.flatnonzero(roles == role), role) for role in splits.SPLITS
    }


@contextmanager
def _damage_explained(folder) -> Iterator[None]:
    """What readers of half a dataset raise, as a message that says what to do."""
    try:
        yield
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, DecodeError) as e:
        raise InputError(
            folder,
            f"the prepared dataset cannot be read ({str(e).strip()[:200] or type(e)})",
            "it is damaged: remove that folder and build it again",
        ) from e


def take(split: Split, rows: np.ndarray, name: str) -> Split:
    """The part of a split given by positions within it."""
    if not len(rows):
        raise InputError(
            split.dataset,
            f"no example falls into {name!r} (of {split.size})",
            "use more data or another fold",
        )
    table = {
        key: column[rows]
        if isinstance(column, np.ndarray)
        else [column[row] for row in rows]
        for key, column in split.table.items()
    }
    pixels = split.pixels
    if pixels is not None:
        pixels = {key: column[rows] for key, column in pixels.items()}
    return split._replace(split=name, rows=split.rows[rows], table=table, pixels=pixels)


def shared_patients(one: Split, other: Split) -> int:
    """Number of patients with images in both splits; 0 is what it should be."""
    return len(set(one.table["patient_id"]) & set(other.table["patient_id"]))


def shared_images(one: Split, other: Split) -> int:
    """Number of images in both splits."""
    return len(set(one.table["example_id"]) & set(other.table["example_id"]))


def decode(png: bytes, size: int, square: str) -> np.ndarray:
    """PNG bytes -> [size, size, 1] of the stored type.

    Args:
      png: as stored, [H, W] of uint8 or uint16.
      size: side of the square that goes to the device.
      square: 'stretch' ignores the aspect (as the published systems do, and it hides
        the detector's shape, which is a shortcut); 'pad' keeps it and adds black.
    """
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    return fit(image, size, square)


def fit(image: np.ndarray, size: int, square: str) -> np.ndarray:
    """[H, W] -> [size, size, 1] of the same type; see `decode`."""
    height, width = image.shape[:2]
    if square == "pad" and height != width:
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        image = cv2.copyMakeBorder(
            image,
            top,
            side - height - top,
            left,
            side - width - left,
            cv2.BORDER_CONSTANT,
            value=0,
        )
    if image.shape[:2] != (size, size):
        shrinks = image.shape[0] >= size and image.shape[1] >= size
        image = cv2.resize(
            image,
            (size, size),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
    return image.reshape(size, size, 1)


def decode_mask(png: bytes, size: int, square: str) -> np.ndarray:
    """The same of a mask of 0 and 255: what is lung in most of a pixel is 255."""
    mask = decode(png, size, square)
    return np.where(mask > 127, np.uint8(255), np.uint8(0))


_DECODE = {"image": decode, "mask": decode_mask}


def pictures(
    split: Split, indices: np.ndarray, size: int, square: str
) -> dict[str, np.ndarray]:
    """{name: [B, size, size, 1]} of the stored type: held in memory, or decoded now.

    Args:
      indices: int [B], positions within the split.
      size, square: see `decode`; of pictures in memory they are settled.
    """
    if split.pixels is not None:
        return {name: column[indices] for name, column in split.pixels.items()}
    found = {}
    for place, row in enumerate(split.rows[indices]):
        stored = split.read(int(row))
        for name in split.pictures:
            image = _DECODE[name](stored[name], size, square)
            if name not in found:
                found[name] = np.empty((len(indices), *image.shape), image.dtype)
            np.copyto(found[name][place], image, casting="no")
    return found


class Examples:
    """A split in batches of given positions: {'image', targets...}, and 'mask'."""

    def __init__(
        self, split: Split, targets: dict[str, np.ndarray], *, size: int, square: str
    ):
        self._split, self._targets = split, targets
        self._size, self._square = size, square

    def __len__(self) -> int:
        return self._split.size

    def batch(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """{'image', 'mask': [B, size, size, 1], targets: [B, ...]}."""
        return {
            **pictures(self._split, indices, self._size, self._square),
            **{name: column[indices] for name, column in self._targets.items()},
        }


def check_data_config(config: ConfigDict) -> None:
    """Refuses a `config.data` that cannot mean anything."""
    if config.square not in SQUARES:
        raise InputError(
            "config.data.square",
            f"{config.square!r} is unknown",
            f"choose one of: {', '.join(SQUARES)}",
        )
    if config.residency not in RESIDENCIES:
        raise InputError(
            "config.data.residency",
            f"{config.residency!r} is unknown",
            f"choose one of: {', '.join(RESIDENCIES)}",
        )
    if config.size < 1:
        raise InputError("config.data.size", str(config.size), "give a side in pixels")
    if config.data_dir and not pathlib.Path(config.data_dir).expanduser().is_dir():
        raise InputError(
            "config.data.data_dir",
            f"{config.data_dir} is no folder",
            "give the --data_dir that tfds_builders.build wrote to",
        )
