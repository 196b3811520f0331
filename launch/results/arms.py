"""The trainings of a row: one job a run, of the launcher's own kind."""

from __future__ import annotations

import itertools
import pathlib
from typing import NamedTuple

from tfds_builders.common.errors import InputError

from .. import grouping, jobs, plan
from .releases import Releases
from .row import Arm, Row

_NEEDS_WEIGHTS = "{weights}"
# Folders of --out: of whole trainings, and of short ones.
FULL, QUICK = "full", "quick"


class Settings(NamedTuple):
    """What holds for all rows.

    Attributes:
      folder: of all runs.
      weights: the file of initial weights, or None.
      quick: short trainings of one seed.
      start: what is not finished; else only what is finished counts.
    """

    folder: pathlib.Path
    weights: pathlib.Path | None = None
    quick: bool = False
    start: bool = True


def data_dir(arm: Arm, releases: Releases, settings: Settings) -> pathlib.Path | None:
    """Where the films of an arm are prepared; None for synthetic ones.

    Where nothing is started, nothing is prepared either.

    Raises:
      InputError: they are not there, says how to get them; or as of `config`.
    """
    file = config(arm, settings)
    if arm.trees:
        return releases.tree(arm.trees) if settings.start else None
    data = plan.alone(file, arm.settings)["data"]
    if data["phantom"]:
        return None
    if not settings.start:
        return releases.require(data["dataset"])
    return releases.folder(data["dataset"])


def config(arm: Arm, settings: Settings) -> str:
    """The config file with its arguments.

    Raises:
      InputError: it needs a file of weights, and none is given.
    """
    asked = arm.quick_config if settings.quick and arm.quick_config else arm.config
    if _NEEDS_WEIGHTS in asked and settings.weights is None:
        raise InputError(
            "--weights",
            "is not given",
            "docs/weights.md says which files do; then make results WEIGHTS=FILE",
        )
    file, colon, arguments = asked.partition(":")
    if not pathlib.Path(file).is_file():  # the shipped one, where it is installed
        file = pathlib.PurePath(file).name
    return file + colon + arguments.replace(_NEEDS_WEIGHTS, str(settings.weights))


def folder(row: Row, settings: Settings) -> pathlib.Path:
    """Of a row; its arms are folders in it."""
    return settings.folder / row.name


def runs(row: Row, name: str, settings: Settings) -> list[plan.Run]:
    """The runs of an arm: every seed on every fold, in folders `<arm>/<run>`.

    Raises:
      InputError: no such config or key, or it needs weights.
    """
    arm = row.arms[name]
    changes = arm.settings | (arm.quick if settings.quick else {})
    seeds = arm.seeds[:1] if settings.quick else arm.seeds
    file = config(arm, settings)
    made = []
    for seed, fold in itertools.product(seeds, arm.folds):
        overrides = {"seed": seed, "data.fold": fold, **changes}
        whole = plan.alone(file, overrides)
        place = f"{name}/seed={seed},fold={fold}"
        made.append(plan.Run(place, overrides, whole, place))
    return made


def make_jobs(
    row: Row, name: str, settings: Settings, data: pathlib.Path | None
) -> list[jobs.Job]:
    """The processes of an arm: folds and seeds that can share a program do.

    Of short trainings most of the time is the start, and it is then spent once.
    """
    extra = [] if data is None else [f"--config.data.data_dir={data}"]
    file, place = config(row.arms[name], settings), folder(row, settings)
    return [
        jobs.together(file, place, group, extra)
        if len(group) > 1
        else jobs.alone(file, place, group[0], extra)
        for group in grouping.groups(runs(row, name, settings))
    ]
