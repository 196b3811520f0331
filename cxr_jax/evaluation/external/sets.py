"""The sets of an external validation: what is tested on, and which images a run knows.

A copy of a training image is no external test, under whatever name it goes: public
collections hold each other's films.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.data import builders, copies, fingerprints, roles
from cxr_jax.data.split import Split, fingerprint, take
from cxr_jax.evaluation import evaluate
from cxr_jax.runs import predictions
from cxr_jax.runs.predictions import Run
from tfds_builders.common.errors import InputError


class Set(NamedTuple):
    """What is tested on.

    Attributes:
      name: 'covidgr/512:test'.
      folder: of the prepared dataset.
      split: its images.
    """

    name: str
    folder: pathlib.Path
    split: Split


class Row(NamedTuple):
    """A run and its data.

    Attributes:
      run: finished.
      folder: of the prepared dataset.
      train, val: its splits.
      own: name of its own test set.
    """

    run: Run
    folder: pathlib.Path
    train: Split
    val: Split
    own: str


class LeftOut(NamedTuple):
    """The images of a set that a run may not be tested on: bool [N], each in one only.

    Attributes:
      identical: train or val has the same pixels, or the image itself.
      near: nearly the same picture.
      patient: another picture of the patient; known within one dataset only.
    """

    identical: np.ndarray
    near: np.ndarray
    patient: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """Positions of all others: int [.]."""
        return np.flatnonzero(~(self.identical | self.near | self.patient))


class Library(NamedTuple):
    """All pictures of some splits, each read once, and the copies among them.

    Attributes:
      number: {(folder of the dataset, example_id): number of the image}.
      bundles: of `copies.find`, by these numbers.
    """

    number: dict[tuple[pathlib.Path, str], int]
    bundles: list[copies.Bundle]

    def numbers(self, folder: pathlib.Path, split: Split) -> np.ndarray:
        """int [N] of the images of a split."""
        names = split.table["example_id"]
        return np.array([self.number[folder, name] for name in names], int)

    def copied(self, images: np.ndarray, among: np.ndarray) -> np.ndarray:
        """str [N]: 'identical', 'near' or '', by what an image has among others.

        Args:
          images, among: numbers; an image that is itself among them is identical.
        """
        part = np.full(len(self.number), -1)
        part[images], part[among] = 1, 0  # what is in both is among
        kind = np.full(len(part), "", "<U9")
        found = copies.overlaps(self.bundles, part).get((1, 0))
        if found is not None:
            kind[found.near], kind[found.identical] = "near", "identical"
        kind[among] = "identical"
        return kind[images]


def read(sets: Sequence[Set], rows: Sequence[Row]) -> Library:
    """The pictures of everything that is tested on or was trained on."""
    parts = [(each.folder, each.split) for each in sets]
    parts += [(row.folder, split) for row in rows for split in (row.train, row.val)]
    number: dict[tuple[pathlib.Path, str], int] = {}
    kept = []
    for folder, split in parts:
        names = [(folder, name) for name in split.table["example_id"]]
        new = [k for k, name in enumerate(names) if name not in number]
        number |= {names[k]: len(number) + i for i, k in enumerate(new)}
        if new:
            kept.append(take(split, np.array(new), split.split))
    shown = fingerprints.read(kept, "all sets")
    bundles = copies.find(shown.pixel_hash, shown.fingerprint, shown.blank)
    return Library(number, bundles)


def left_out(row: Row, test: Set, library: Library) -> LeftOut:
    """The images of a set that are in train or val of a run, or whose patient is."""
    seen = [library.numbers(row.folder, each) for each in (row.train, row.val)]
    images = library.numbers(test.folder, test.split)
    kind = library.copied(images, np.concatenate(seen))
    known = np.zeros(test.split.size, bool)
    if evaluate.is_own(row.run.config, test.split.dataset):
        patients = {*row.train.table["patient_id"], *row.val.table["patient_id"]}
        known = np.array([name in patients for name in test.split.table["patient_id"]])
    return LeftOut(kind == "identical", kind == "near", known & (kind == ""))


def open_all(
    runs: Sequence[Run], eval_on: str
) -> tuple[list[Row], list[Set], list[dict[str, Any]]]:
    """The runs with their data; all sets to test on; what describes the data.

    Args:
      runs: finished.
      eval_on: further sets, 'covidgr,brixia:test'; ':test' or nothing is none.

    Raises:
      InputError: data that are not there, or no longer those of a run.
    """
    sets: dict[tuple[str, str], Set] = {}
    rows, described = [], []
    for run in runs:
        data, home = run.config.data, predictions.home(run)
        builder = builders.open_builder(data.dataset, roles.data_dir(data, home))
        splits = roles.open_splits(data, home)
        predictions.check_data([run], splits.description)
        test = _add(sets, builder, splits.test, f"{data.test}{roles.words(data)}")
        folder = _folder(builder)
        rows.append(Row(run, folder, splits.train, splits.val, test.name))
        if splits.description not in described:
            described.append(splits.description)
    for text in filter(None, eval_on.split(",")):
        if text != ":test":
            builder, split = _open_external(rows, text)
            _add(sets, builder, split, split.split)
            roles_of = {"roles": {split.split: fingerprint(split)}}
            described.append({**builders.describe(builder), **roles_of})
    return rows, list(sets.values()), described


def _add(sets, builder, split: Split, part: str) -> Set:
    """The set, new or as it is known."""
    name = builder.info.full_name.removesuffix(f"/{builder.info.version}")
    name = f"{name}:{part}"
    found = fingerprint(split)
    key = name, found["sha256"] + found["pixels"]
    if key not in sets:
        folder = _folder(builder)
        if any(each.name == name for each in sets.values()):
            name += f" of {folder}"
        sets[key] = Set(name, folder, split)
    return sets[key]


def _open_external(rows: list[Row], text: str):
    """(builder, split) of `dataset[/config][@folder][:split]`, where a run's data lie.

    Of the dataset of a run its roles are those of the run, unless a folder is given.
    """
    name, _, part = text.partition(":")
    dataset, _, elsewhere = name.partition("@")
    if elsewhere:
        builder = builders.open_builder(dataset, elsewhere)
        return builder, builders.load(builder, part or "test")
    runs = [row.run for row in rows]
    own = [run for run in runs if evaluate.is_own(run.config, name)]
    first = None
    for run in own[:1] or runs:
        try:
            builder, split, _ = evaluate.open_split(
                run.config, predictions.home(run), text
            )
        except InputError as error:
            first = first or error
        else:
            return builder, split
    raise first


def _folder(builder) -> pathlib.Path:
    return pathlib.Path(builder.data_dir).resolve()
