"""An exported model: opened, and films scored with it."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.bundle import contents
from cxr_jax.bundle.network import Network, check_fits
from cxr_jax.gate import gate_file
from cxr_jax.gate.judge import judge
from cxr_jax.predict import inputs, reading, scoring
from cxr_jax.predict import recipe as recipes
from cxr_jax.predict.inputs import Item
from cxr_jax.predict.reading import Read, Task
from cxr_jax.predict.recipe import Recipe
from cxr_jax.predict.scoring import NO_GATE, REFUSE, Gate, Scorer
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded

BATCH = 32  # films that are held at once
Source = str | os.PathLike | np.ndarray


class Bundle(NamedTuple):
    """An exported model.

    Attributes:
      path: its folder.
      scorer: recipe, network and gate, as `predict.scoring` takes them.
    """

    path: pathlib.Path
    scorer: Scorer

    @property
    def recipe(self) -> Recipe:
        """How films are read, and what the figures mean."""
        return self.scorer.recipe

    def predict(
        self, films: Source | Sequence[Source], *, gate: str = REFUSE
    ) -> list[dict[str, Any]]:
        """One record a film, with the columns of predictions.csv.

        Args:
          films: one or several, of files (DICOM, PNG, JPEG, TIFF, WebP) and arrays
            [H, W] of uint8 or uint16 over their full range, dense structures bright.
          gate: 'refuse' gives no figures of a film that fails a check, 'warn' gives
            them all the same, 'off' looks at nothing.

        Returns:
          {column: value} in the order given. A file that cannot be read has its
          'error'; an array is called 'film_0', 'film_1', ... by its position.

        Raises:
          InputError: an array that is no film, or a gate that is not there.
        """
        check_gate(self.path, self.scorer, gate)
        if isinstance(films, str | os.PathLike | np.ndarray):
            films = [films]
        listed = list(films)
        paths = [
            f"film_{i}" if isinstance(film, np.ndarray) else os.fspath(film)
            for i, film in enumerate(listed)
        ]
        names = inputs.unique_names(paths)
        asked = self.scorer.gate if gate != NO_GATE else None
        task = Task(self.recipe.preprocess, asked.look if asked else None, False)
        records = []
        for start in range(0, len(listed), BATCH):
            part = range(start, min(start + BATCH, len(listed)))
            pairs = [_read(task, listed[i], paths[i], names[i]) for i in part]
            scored = scoring.of_batch(self.scorer, pairs, gate)
            records += [each.record for each in scored]
        return records


def load(
    path: str | os.PathLike, *, variant: str = "float32", threads: int = 0
) -> Bundle:
    """Opens a bundle, after the digests of all its files were checked.

    Args:
      path: the folder that --mode=export made.
      variant: 'float32', or one of the smaller models that the bundle has.
      threads: of ONNX Runtime; 0 leaves it the choice.

    Raises:
      InputError: it is no bundle, of another version, or one of its files was changed.
    """
    folder = expanded(path)
    known = contents.check(folder)
    described = contents.read_json(folder, known, contents.BUNDLE)
    steps = contents.read_json(folder, known, contents.PREPROCESS)
    recipe = recipes.from_json(
        folder / contents.BUNDLE, described, folder / contents.PREPROCESS, steps
    )
    name = _model(folder, known, variant)
    model = contents.read(folder, known, name, contents.MOST_MODEL)
    network = Network(model, folder / name, threads)
    check_fits(network, recipe, folder / name)
    return Bundle(folder, Scorer(recipe, network, BATCH, _gate(folder, known)))


def is_bundle(path: pathlib.Path) -> bool:
    """Whether a folder is meant to be a bundle, not a run."""
    return (path / contents.BUNDLE).is_file() or (path / contents.SUMS).is_file()


def check_gate(path: pathlib.Path, scorer: Scorer, mode: str) -> None:
    """Raises InputError for a mode that does not exist, or a gate that is not there."""
    if mode not in scoring.MODES:
        raise InputError("gate", f"is {mode!r}", f"use {', '.join(scoring.MODES)}")
    if mode != NO_GATE and scorer.gate is None:
        raise InputError(
            path,
            "was exported without a gate: films of another kind would be scored too",
            "use gate 'off' and look at the films yourself; or export the run again",
        )


def _gate(folder: pathlib.Path, known: dict[str, str]) -> Gate | None:
    if contents.GATE not in known:
        return None
    content = contents.read_json(folder, known, contents.GATE)
    gate = gate_file.from_json(content, folder / contents.GATE)
    return Gate(_whole, partial(judge, gate), known[contents.GATE])


def _whole(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _model(folder: pathlib.Path, known: Iterable[str], variant: str) -> str:
    there = {key: name for key, name in contents.MODELS.items() if name in known}
    if variant not in there:
        raise InputError(
            folder, f"has no variant {variant!r}", f"it has: {', '.join(there)}"
        )
    return there[variant]


def _read(task: Task, film: Source, path: str, name: str) -> tuple[Item, Read]:
    item = Item(path, name, pathlib.Path(path))
    if not isinstance(film, np.ndarray):
        return item, reading.read(task, item)
    if film.ndim != 2 or film.dtype not in (np.uint8, np.uint16) or not film.size:
        raise InputError(
            path,
            f"is an array of {film.dtype} {list(film.shape)}",
            "give [H, W] of uint8 or uint16 over the full range of the type",
        )
    return item, reading.of_pixels(task, film)
