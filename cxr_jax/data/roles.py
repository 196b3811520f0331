"""The train, val and test splits of a run."""

from __future__ import annotations

import itertools
import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cxr_jax.data import builders, decode, phantom
from cxr_jax.data.split import Split, by_fold, fingerprint, patients_in_both
from cxr_jax.devices import processes
from cxr_jax.devices.terminal import say
from tfds_builders.common.build import columns
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

ROLES = ("train", "val", "test")
SPLIT_BY = ("patient", "image")


class Splits(NamedTuple):
    """The three roles of a dataset, what identifies it, and its metadata."""

    train: Split
    val: Split
    test: Split
    description: dict[str, Any]
    metadata: dict[str, Any]


def open_splits(config: ConfigDict, workdir: pathlib.Path) -> Splits:
    """Opens train, val and test of `config.data`; makes the phantom if required.

    Raises:
      InputError: a split is missing, or an image is in two of them, unless
        `config.data.leaks` is set.
    """
    builder = builders.open_builder(config.dataset, data_dir(config, workdir))
    parts = roles(builder, config)
    for one, other in itertools.combinations(ROLES, 2):
        twice = set(parts[one].table["example_id"]) & set(
            parts[other].table["example_id"]
        )
        if twice and config.get("leaks", False):
            say(
                f"WARNING: {len(twice)} images are in both {one} and {other}, as "
                "config.data.leaks allows: figures of this run are worth nothing."
            )
        elif twice:
            raise InputError(
                f"config.data.{one} and .{other}",
                f"{len(twice)} images are in both, {min(twice)} among them",
                "name splits that do not overlap",
            )
    description = builders.describe(builder)
    if not description["pixels"]:
        say(
            f"WARNING: {builder.data_path} was built by an earlier version, without "
            "digests of its pixels: other pixels would not be noticed. Remove that "
            "folder and build it again; the images and splits stay the same."
        )
    known = dict.fromkeys(ROLES, "")
    if not _is_dealt(config):
        known = {role: columns.table_digest(builder, config[role]) for role in ROLES}
    description["roles"] = {
        role: fingerprint(parts[role], known[role]) for role in ROLES
    }
    metadata = dict(builder.info.metadata or {})
    return Splits(**parts, description=description, metadata=metadata)


def roles(builder, config: ConfigDict) -> dict[str, Split]:
    """Returns {'train', 'val', 'test'} as `config.data` names them, or by its fold."""
    by_image = _by_image(config)
    if not _is_dealt(config):
        return {
            role: builders.load(builder, config[role], config.masks) for role in ROLES
        }
    renamed = [role for role in ROLES if config[role] != role]
    if renamed:
        raise InputError(
            f"config.data.{renamed[0]}",
            f"is {config[renamed[0]]!r} while config.data.fold={config.fold} and "
            f"config.data.split_by={'image' if by_image else 'patient'!r}",
            "with a fold, or split by image, they are exactly train, val and test",
        )
    whole = builders.load(builder, "all", config.masks)
    if by_image:
        return by_fold(whole, max(config.fold, 0), by="example_id")
    return by_fold(whole, config.fold)


def _by_image(config: ConfigDict) -> bool:
    return config.get("split_by", "patient") == "image"


def _is_dealt(config: ConfigDict) -> bool:
    """Whether the roles are other than the stored splits."""
    return config.fold >= 0 or _by_image(config)


def words(config: ConfigDict) -> str:
    """' of fold 3', ' by image' or '': how its splits differ from the stored ones."""
    text = f" of fold {config.fold}" if config.fold >= 0 else ""
    return text + " by image" * _by_image(config)


def data_dir(config: ConfigDict, workdir: pathlib.Path) -> str:
    """Returns the folder of the dataset; a phantom is kept in the workdir."""
    if not config.phantom:
        return config.data_dir
    if not processes.is_first():  # the first makes it, the others use it
        processes.wait("phantom")
    data_dir = phantom.ensure(config, workdir)
    if processes.is_first():
        processes.wait("phantom")
    return data_dir


def shared_patients(splits: Splits) -> dict[str, int]:
    """Counts patients (or their stand-ins) in two roles; should be 0."""
    return {
        f"{one}-{other}": patients_in_both(getattr(splits, one), getattr(splits, other))
        for one, other in itertools.combinations(ROLES, 2)
    }


def image_dtype(split: Split) -> np.dtype:
    """The stored type of the images, taken from the first."""
    first = split.read(int(split.rows[0]))["image"]
    return decode.image(first, 1, "stretch").dtype
