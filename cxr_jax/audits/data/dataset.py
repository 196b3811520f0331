"""A dataset under audit: all its splits, side by side."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from cxr_jax.audits.data import target as targets
from cxr_jax.data import builders, roles
from cxr_jax.data.split import Split, fingerprint
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import SPLITS

EXTERNAL_TEST = "test"  # the split that --eval_on takes by default


class Dataset(NamedTuple):
    """All images of a dataset, one split after the other.

    Attributes:
      name: 'covidgr/512'.
      splits: {name: Split}, none of them empty.
      table: columns of all N images, texts as lists of str.
      split: [N] the name of each image's split.
      target: what a model learns from it.
      description: what identifies the data.
      tested: of an external test set the split that is tested on, else ''.
      suggested: [pattern, films, patients] of file names that may name patients.
    """

    name: str
    splits: dict[str, Split]
    table: dict[str, Any]
    split: np.ndarray
    target: targets.Target
    description: dict[str, Any]
    tested: str = ""
    suggested: tuple[tuple[str, int, int], ...] = ()

    @property
    def size(self) -> int:
        return len(self.split)

    @property
    def first(self) -> Split:
        """Any of the splits, for what all of them have in common."""
        return next(iter(self.splits.values()))

    @property
    def unit(self) -> str:
        """What a patient_id stands for; see `Split`."""
        return self.first.unit

    @property
    def synthetic(self) -> bool:
        return self.first.synthetic


def of_config(config: ConfigDict, workdir: pathlib.Path) -> Dataset:
    """The train, val and test of `config.data`, labelled as `config.task` would.

    Raises:
      InputError: the dataset is not there, or does not fit the task.
    """
    builder = builders.open_builder(
        config.data.dataset, roles.data_dir(config.data, workdir)
    )
    splits = roles.roles(builder, config.data)
    return _dataset(builder, splits)._replace(
        target=targets.of_task(config.task, list(splits.values()))
    )


def of_name(name: str, data_dir: str) -> Dataset:
    """All splits of `name[/config][@data_dir]` as they were built.

    With a folder of its own, a dataset is called by it: every tree of one's own is an
    `image_folder`.
    """
    builder, at = _open(name, data_dir)
    found = _dataset(
        builder, {part: builders.load(builder, part) for part in _of(builder)}
    )
    return found._replace(name=found.name + at)


def _open(name: str, data_dir: str):
    name, at, folder = name.partition("@")
    return builders.open_builder(name, folder or data_dir), at + folder


def external(name: str, data_dir: str) -> Dataset:
    """An external test set, in the notation of --eval_on.

    Args:
      name: 'covidgr' has all splits of it, of which `test` is the one tested on;
        'covidgr:all' has that one alone, 'covidgr@data:all' too, of another folder.
    """
    whole, colon, split = name.rpartition(":")
    if not colon:
        return of_name(name, data_dir)._replace(tested=EXTERNAL_TEST)
    builder, at = _open(whole, data_dir)
    found = _dataset(builder, {split: builders.load(builder, split)})
    return found._replace(name=found.name + at, tested=split)


def _of(builder) -> list[str]:
    """Its splits: train, val and test first, empty ones left out."""
    there = [name for name, info in builder.info.splits.items() if info.num_examples]
    known = [name for name in SPLITS if name in there]
    return known + sorted(set(there) - set(known))


def _dataset(builder, splits: dict[str, Split]) -> Dataset:
    first, *others = splits.values()
    for column in ("example_id", "patient_id"):
        if column not in first.table:
            raise InputError(
                builder.info.full_name,
                f"has no column {column!r} (it has: {', '.join(first.table)})",
                "build it with tfds_builders, which gives every image both names",
            )
    table = {
        name: np.concatenate([values, *(split.table[name] for split in others)])
        if isinstance(values, np.ndarray)
        else sum((split.table[name] for split in others), values)
        for name, values in first.table.items()
    }
    description = builders.describe(builder)
    description["splits"] = {name: fingerprint(split) for name, split in splits.items()}
    name = builder.info.full_name.removesuffix(f"/{builder.info.version}")
    return Dataset(
        name=name,
        splits=splits,
        table=table,
        split=np.repeat(list(splits), [split.size for split in splits.values()]),
        target=targets.of_columns(table, first.label_names),
        description=description,
        suggested=tuple(
            tuple(row)
            for row in (builder.info.metadata or {}).get("patients_suggested", ())
        ),
    )
