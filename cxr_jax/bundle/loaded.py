"""An exported model: opened, and films scored with it."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.bundle import digests
from cxr_jax.bundle.network import Network, check_fits
from cxr_jax.gate import gate_file
from cxr_jax.gate.fitted import Gate
from cxr_jax.predict import recipe as recipes
from cxr_jax.predict import scoring
from cxr_jax.predict.recipe import Recipe
from cxr_jax.predict.scoring import REFUSE, Scorer
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded

BATCH = 32  # films that are held at once
Source = str | os.PathLike[str] | np.ndarray


class Bundle(NamedTuple):
    """An exported model.

    Attributes:
      path: its folder.
      scorer: recipe, network and gate, as `predict.scoring` takes them.
      digest: SHA-256 of its SHA256SUMS, and so of all its files.
    """

    path: pathlib.Path
    scorer: Scorer
    digest: str

    @property
    def recipe(self) -> Recipe:
        """How films are read, and what the figures mean."""
        return self.scorer.recipe

    def predict(
        self, films: Source | Sequence[Source], *, gate: str = REFUSE
    ) -> list[dict[str, Any]]:
        """One record a film, with the columns of predictions.csv.

        Args:
          films: paths of files (DICOM, PNG, JPEG, TIFF, WebP), folders and archives; or
            arrays [H, W] of uint8 or uint16 over their full range, dense structures
            bright. One alone will do.
          gate: 'refuse' gives no figures of a film that fails a check, 'warn' gives
            them all the same, 'off' looks at nothing.

        Returns:
          {column: value} in the order given. A file that cannot be read has its
          'error'; the example_id of an array is its position.

        Raises:
          InputError: there is no such file, an array is no film, or the bundle has no
            gate.
        """
        return scoring.records(self.scorer, scoring.listed(films), gate)


def load(
    path: str | os.PathLike[str], *, variant: str = "float32", threads: int = 0
) -> Bundle:
    """Opens a bundle, after the digests of all its files were checked.

    Args:
      path: the folder that --mode=export made.
      variant: 'float32', or one of the smaller models that the bundle has.
      threads: of ONNX Runtime; 0 leaves it the choice.

    Raises:
      InputError: it is not a bundle, of another version, or one of its files was changed.
    """
    folder = expanded(os.fspath(path))
    known = digests.check(folder)
    described = digests.read_json(folder, known, digests.BUNDLE)
    steps = digests.read_json(folder, known, digests.PREPROCESS)
    recipe = recipes.from_json(
        folder / digests.BUNDLE, described, folder / digests.PREPROCESS, steps
    )
    name = _model(folder, known, variant)
    model = digests.read(folder, known, name, digests.MOST_MODEL)
    network = Network(model, folder / name, threads)
    check_fits(network, recipe, folder / name)
    gate = _gate(folder, known)
    if gate is not None:
        _check_gate(folder, gate, network)
    digest = files.sha256(folder / digests.SUMS)
    return Bundle(folder, Scorer(recipe, network, BATCH, gate), digest)


def is_bundle(path: pathlib.Path) -> bool:
    """Whether a folder is meant to be a bundle, not a run."""
    return (path / digests.BUNDLE).is_file() or (path / digests.SUMS).is_file()


def _gate(folder: pathlib.Path, known: dict[str, str]) -> Gate | None:
    if digests.GATE not in known:
        return None
    content = digests.read_json(folder, known, digests.GATE)
    return gate_file.from_json(content, folder / digests.GATE)


def _check_gate(folder: pathlib.Path, gate: Gate, network: Network) -> None:
    known, given = len(gate.unlike_training.mean), network.shapes["features"][-1]
    if known != given:
        raise InputError(
            folder / digests.GATE,
            f"knows {known} features, and the network gives {given}: it is of another",
            digests.AGAIN,
        )


def _model(folder: pathlib.Path, known: Iterable[str], variant: str) -> str:
    there = {key: name for key, name in digests.MODELS.items() if name in known}
    if variant not in there:
        raise InputError(
            folder, f"has no variant {variant!r}", f"it has: {', '.join(there)}"
        )
    return there[variant]
