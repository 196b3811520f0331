"""Opens prepared datasets, and their splits, from their folders."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from cxr_jax.data.split import Split
from tfds_builders import DATASETS
from tfds_builders.common import array_record, places, records
from tfds_builders.common.build import columns
from tfds_builders.common.build.identity import changed_shards
from tfds_builders.common.errors import InputError

places.allow_owners_without_name()  # for all that reads and saves through etils


def open_builder(name: str, data_dir: str = ""):
    """Opens the prepared dataset `name[/config]`, newest version, from its folder.

    Raises:
      InputError: it is missing; says how to prepare it, or to try the phantom.
    """
    import tensorflow_datasets as tfds  # here, for commands that open no dataset

    array_record.require()
    where = places.data_dir(data_dir)
    folder = _newest_version(where / name) or _newest_version(
        where / name / _default_config(where / name)
    )
    if folder is None:
        if denied := places.unreadable(where / name.split("/")[0]):
            raise places.denied(denied)
        raise InputError(
            where,
            f"contains no prepared dataset {name!r}",
            _how_to_prepare(name, data_dir),
        )
    with _damage_explained(folder):
        builder = tfds.builder_from_directory(folder)
        metadata = builder.info.metadata or {}
    if found := changed_shards(folder, metadata.get("shards", {}), whole=False):
        raise InputError(folder, f"damaged: {found}", "Remove it and build it again")
    return builder


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
    """The subfolder, such as '1.2.0', of the newest complete version."""
    import tensorflow_datasets as tfds

    versions = [
        path.parent
        for path in folder.glob("*/features.json")
        if tfds.core.Version.is_valid(path.parent.name)
    ]
    return max(versions, key=lambda v: tfds.core.Version(v.name), default=None)


def _default_config(folder: pathlib.Path) -> str:
    # TFDS stores the default config beside the prepared ones.
    path = folder / ".config" / "metadata.json"
    return json.loads(path.read_text())["default_config_name"] if path.exists() else ""


def describe(builder) -> dict[str, Any]:
    """What identifies the data of a run: full name, version, build."""
    return {
        "name": builder.info.full_name,
        "version": str(builder.info.version),
        "built": {
            name: {"examples": info.num_examples, "bytes": info.num_bytes}
            for name, info in sorted(builder.info.splits.items())
        },
        "synthetic": is_synthetic(builder),
        "polarity": (builder.info.metadata or {}).get("polarity", ""),
        "pixels": _pixels_sha256(builder, "all"),
    }


def _pixels_sha256(builder, split: str) -> str:
    """Digest of the pixels of a whole split, else of all; '' of an older dataset."""
    stored = (builder.info.metadata or {}).get("pixels")
    if stored is None:
        return ""
    every = hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()
    return stored.get(split, every)


def is_synthetic(builder) -> bool:
    """Whether the release it was built from is a phantom."""
    return bool((builder.info.metadata or {}).get("synthetic", False))


def load(builder, split: str, masks: bool = False) -> Split:
    """Opens one split.

    Args:
      builder: from `open_builder`.
      split: 'train', 'test', 'train+val', 'train[:50%]', 'all': as in TFDS.
      masks: whether to load lung masks too.

    Raises:
      InputError: no such split, an empty one, no masks, or unreadable files.
    """
    import tensorflow_datasets as tfds

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
            f"has no lung masks (its images: {', '.join(layout.pictures)})",
            "set config.data.dataset=covid_radiography/segmentation, or "
            "config.data.masks=False",
        )

    def read(position: int) -> dict[str, bytes]:
        # The files may be damaged while a run reads them.
        with _damage_explained(builder.data_dir):
            return records.pictures(source[position], layout.pictures)

    with _damage_explained(builder.data_dir):
        table = columns.read(builder, split, list(layout.columns))
        if table is None:  # of a dataset that was built by an earlier version
            table = records.table(source, layout.columns)
    return Split(
        dataset=builder.name,
        split=split,
        read=read,
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
        pixels_sha256=_pixels_sha256(builder, split),
    )


@contextmanager
def _damage_explained(folder) -> Iterator[None]:
    """Turns what readers of an incomplete dataset raise into a message."""
    try:
        yield
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, DecodeError) as e:
        if denied := places.unreadable(pathlib.Path(folder)):
            raise places.denied(denied) from e
        raise InputError(
            folder,
            f"the prepared dataset cannot be read ({str(e).strip()[:200] or type(e)})",
            "it is damaged: remove that folder and build the dataset again",
        ) from e
