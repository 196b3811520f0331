"""The train, val and test splits of a run."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from cxr_jax.data import phantom, source


class Splits(NamedTuple):
    """The three roles of a dataset and what describes it."""

    train: source.Split
    val: source.Split
    test: source.Split
    description: dict[str, Any]


def open_splits(config: ConfigDict, workdir: pathlib.Path) -> Splits:
    """Opens train, val and test; writes and builds the phantom where asked to."""
    builder = source.open_builder(config.dataset, data_dir(config, workdir))
    roles = {
        role: source.load(builder, config[role], fold=config.fold)
        for role in ("train", "val", "test")
    }
    return Splits(**roles, description=source.describe(builder))


def data_dir(config: ConfigDict, workdir: pathlib.Path) -> str:
    """Where the dataset of `config.data` lies; the phantom lives in the workdir."""
    return phantom.ensure(config, workdir) if config.phantom else config.data_dir


def shared_patients(splits: Splits) -> dict[str, int]:
    """Patients of val and of test that are also in train; 0 is what it should be."""
    return {
        f"train-{role}": source.shared_patients(splits.train, getattr(splits, role))
        for role in ("val", "test")
    }


def image_dtype(split: source.Split) -> np.dtype:
    """The stored type of the pictures, from the first of them."""
    first = split.read(int(split.rows[0]))["image"]
    return source.decode(first, 1, "stretch").dtype
