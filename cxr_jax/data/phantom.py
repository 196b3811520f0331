"""Builds the synthetic release of a config inside the workdir."""

from __future__ import annotations

import pathlib
import shutil
from typing import TYPE_CHECKING

from tfds_builders import DATASETS
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict


def ensure(config: ConfigDict, workdir: pathlib.Path) -> str:
    """Writes and builds `config.phantom` images unless they exist.

    Args:
      config: `config.data`; `phantom` is the number of images.
      workdir: holds release and dataset, under names with the number of images, so that
        a phantom cannot be mistaken for a prepared real dataset.

    Returns:
      The data_dir to read from.
    """
    # Builders need much of SciPy, which takes longer to import than all of JAX.
    from tfds_builders.build import build, is_prepared, make_builder
    from tfds_builders.phantom import write_release

    name = config.dataset.split("/")[0]
    if name not in DATASETS:
        raise InputError(
            "config.data.phantom",
            f"there is no phantom of {name!r}",
            f"there is one of: {', '.join(DATASETS)}",
        )
    if config.data_dir:
        raise InputError(
            "config.data.data_dir",
            f"is {config.data_dir!r}, but config.data.phantom={config.phantom}",
            "a phantom is built in the workdir: omit data_dir, or set data.phantom=0",
        )
    data_dir = workdir / f"phantom_{config.phantom}"
    release = workdir / f"phantom_{config.phantom}_release"
    if not is_prepared(make_builder(config.dataset, data_dir)):
        # A release gets this name once it is complete, so an existing one is used.
        if not release.exists():
            write_release(name, release, config.phantom)
        build(config.dataset, release, data_dir)
    if release.exists():
        shutil.rmtree(release)
    return str(data_dir)
