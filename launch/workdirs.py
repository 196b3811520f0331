"""Reads the runs of a sweep and checks that they belong together."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

from cxr_jax import config as config_lib
from cxr_jax.config_check import completed
from cxr_jax.runs import alike, forms, results_file
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import check

_REWRITE = "run the same sweep again to write it"
_RERUN = "delete the folder of this run and run the sweep again"
# The location of the data does not change their content.
_IGNORED = "data.data_dir"


class Finished(NamedTuple):
    """A finished run.

    Attributes:
      path: its folder.
      overrides: what the sweep changed, {'optim.lr': 0.1}.
      metrics: {'test/mae_zone': {'value', 'lo', 'hi', 'n'}}; None is not a number.
      config: all leaves of its config, {'optim.lr': 0.1, ...}.
      decision: what it settled on val, such as thresholds; {} where nothing is.
    """

    path: pathlib.Path
    overrides: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    config: dict[str, Any]
    decision: dict[str, Any]

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.path.name


def read(folder: pathlib.Path) -> tuple[list[Finished], list[str]]:
    """Returns (finished runs by name, names of the others).

    Raises:
      InputError: no such folder, or a file of a finished run is missing or damaged.
    """
    if not folder.is_dir():
        raise InputError(
            folder, "there is no such folder", "give the --workdir of a sweep"
        )
    finished, unfinished = [], []
    for path in sorted(folder.iterdir()):
        if (path / "results.json").exists():
            finished.append(_read(path))
        elif (path / "val.json").exists():
            continue  # of a search, which tests its best only
        elif any((path / name).exists() for name in ("overrides.json", "config.json")):
            unfinished.append(path.name)
    return finished, unfinished


def check_alike(folder: pathlib.Path, runs: list[Finished]) -> None:
    """Raises InputError if the configs differ in more than the runs' overrides."""

    keys = {key for run in runs for key in run.config} - {_IGNORED}

    def facts(run: Finished) -> dict[str, Any]:
        varied = {
            key: alike.FREE
            for key in keys
            if any(f"{key}.".startswith(f"{own}.") for own in run.overrides)
        }
        return {k: v for k, v in run.config.items() if k in keys} | varied

    alike.check(
        {run.name: facts(run) for run in runs},
        "move runs with other settings to a folder of their own",
        folder,
    )


def _read(path: pathlib.Path) -> Finished:
    overrides = files.read_json(
        path / "overrides.json", missing=_REWRITE, damaged=_REWRITE
    )
    begun = files.read_json(path / "config.json", missing=_RERUN, damaged=_RERUN)
    config = config_lib.leaves(completed(begun))
    place = path / "results.json"
    content = results_file.read(place, {}, missing=_RERUN, damaged=_RERUN)
    try:
        check(place, content, forms.METRICS)
    except InputError as error:
        raise InputError(
            place, f"has no metrics with value, lo, hi and n: {error.found}", _RERUN
        ) from error
    metrics = content["metrics"]
    for key, value in overrides.items():
        if key in config and config[key] != value:
            raise InputError(
                path / "config.json",
                f"has {key} = {config[key]!r}, but overrides.json has {value!r}",
                _RERUN,
            )
    decision = content.get("best", {}).get("decision", {})
    return Finished(path, overrides, metrics, config, decision)
