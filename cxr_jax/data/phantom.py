"""The synthetic release a config may ask for, written and built inside the workdir."""

from __future__ import annotations

import pathlib
import shutil

from ml_collections import ConfigDict

from tfds_builders.build import build, is_prepared, make_builder
from tfds_builders.common.errors import InputError
from tfds_builders.common.phantom import write_release

# dataset -> kind of release that the phantom imitates
KINDS = {"brixia": "brixia", "covidgr": "covidgr", "covid_radiography": "radiography"}


def ensure(config: ConfigDict, workdir: pathlib.Path) -> str:
    """Writes and builds `config.phantom` pictures unless they are there.

    Args:
      config: `config.data`; `phantom` is the number of pictures.
      workdir: the release goes to `phantom/`, the dataset to `data/` in it, so that a
        phantom can never be mistaken for a prepared real dataset.

    Returns:
      The data_dir to read from.
    """
    name = config.dataset.split("/")[0]
    if name not in KINDS:
        raise InputError(
            "config.data.phantom",
            f"there is no phantom of {name!r}",
            f"there is one of: {', '.join(KINDS)}",
        )
    if config.data_dir:
        raise InputError(
            "config.data.data_dir",
            f"is {config.data_dir!r} while a phantom is asked for",
            "a phantom is built in the workdir: give no data_dir, or data.phantom=0",
        )
    release, data_dir = workdir / "phantom", workdir / "data"
    if not is_prepared(make_builder(config.dataset, data_dir)):
        # A release has this name only once it is whole, so one that is there is used.
        if not release.exists():
            write_release(KINDS[name], release, config.phantom)
        build(config.dataset, release, data_dir)
    if release.exists():
        shutil.rmtree(release)
    return str(data_dir)
