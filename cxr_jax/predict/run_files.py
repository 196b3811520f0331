"""What the files of a run say of it, besides its arrays: how its model reads films."""

from __future__ import annotations

import math
import pathlib
from typing import Any

from ml_collections import ConfigDict

from cxr_jax import __version__
from cxr_jax.predict.blueprint import Blueprint
from cxr_jax.predict.recipe import BRIXIA, Decision, Preprocess, Recipe
from cxr_jax.runs import provenance
from tfds_builders.common import files
from tfds_builders.common.dicom.radiograph import POLARITIES
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import RESTORE
from tfds_builders.common.stored import stored_as

_WANTED = "give the workdir of a finished run, or a bundle"


def check_folder(workdir: pathlib.Path) -> None:
    """Raises InputError where there is not a folder, which no run can be."""
    if not workdir.is_dir():
        raise InputError(workdir, "is not a folder", _WANTED)


def results(workdir: pathlib.Path) -> dict[str, Any]:
    """What results.json says. Raises InputError where the run is not finished."""
    return files.read_json(workdir / "results.json", missing=_WANTED, damaged=RESTORE)


def recipe(
    workdir: pathlib.Path,
    config: ConfigDict,
    blueprint: Blueprint,
    decision: dict[str, Any],
) -> Recipe:
    """The recipe of a run.

    Args:
      workdir: of the run.
      config: its own.
      blueprint: of its model.
      decision: of its best evaluation.
    """
    dataset = provenance.read(workdir / "provenance.json")["dataset"]
    confidence = decision["confidence"]
    synthetic = " (SYNTHETIC phantoms)" if dataset.get("synthetic") else ""
    return Recipe(
        name=workdir.absolute().name,
        task=blueprint.task,
        classes=tuple(blueprint.classes),
        questions=tuple(blueprint.questions),
        decision=Decision(
            thresholds=None
            if blueprint.task == BRIXIA
            else tuple(decision["thresholds"]),
            temperature=confidence["temperature"],
            set_least=confidence["least"],
            interval_factor=factor(decision),
        ),
        preprocess=preprocess_of(workdir, config),
        trained_on="/".join(_dataset(dataset, config)) + synthetic,
        run_digest=results(workdir).get("digest", ""),
        made_by=f"cxr_jax {__version__}",
    )


def factor(decision: dict[str, Any]) -> float | None:
    """That of the interval; JSON has null for infinity."""
    if "interval_factor" not in decision:
        return None
    factor = decision["interval_factor"]
    return math.inf if factor is None else factor


def preprocess_of(workdir: pathlib.Path, config: ConfigDict) -> Preprocess:
    """How films become what the network of a run is given."""
    dataset = provenance.read(workdir / "provenance.json")["dataset"]
    name, *rest = _dataset(dataset, config)
    stored = stored_as(name, rest[0] if rest else "")
    return Preprocess(
        bits=stored.bits,
        polarity=dataset.get("polarity") or POLARITIES[0],
        longest=stored.size,
        square=config.data.square,
        side=config.data.size,
    )


def _dataset(dataset: dict[str, Any], config: ConfigDict) -> list[str]:
    """Name, config and version."""
    return dataset.get("name", config.data.dataset).split("/")
