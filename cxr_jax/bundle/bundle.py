"""An exported model: opened, and films scored with it."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.bundle import contents
from cxr_jax.bundle.network import Network, check_fits
from cxr_jax.gate import gate_file
from cxr_jax.gate.gate import Gate
from cxr_jax.gate.judge import judge
from cxr_jax.predict import recipe as recipes
from cxr_jax.predict import record as records
from cxr_jax.predict import squares
from cxr_jax.predict.recipe import Recipe
from tfds_builders.common.errors import InputError

GATES = ("refuse", "warn", "off")
Source = str | os.PathLike | np.ndarray


class Bundle(NamedTuple):
    """An exported model.

    Attributes:
      path: its folder.
      recipe: how films are read, and what the figures mean.
      network: float32 [n, S, S, 1] in 0..1 -> Outputs.
      gate: by which films are judged; None where the bundle was made without.
    """

    path: pathlib.Path
    recipe: Recipe
    network: Network
    gate: Gate | None

    def predict(
        self, films: Source | Sequence[Source], *, gate: str = "refuse"
    ) -> list[dict[str, Any]]:
        """One record a film, with the columns of predictions.csv.

        Args:
          films: one or several, of files (DICOM, PNG, JPEG) and arrays [H, W] of uint8
            or uint16 over their full range, dense structures bright.
          gate: 'refuse' gives no figures of a film that fails a check, 'warn' gives
            them all the same, 'off' looks at nothing.

        Returns:
          {column: value} in the order given. A file that cannot be read has its
          'error'; an array is called 'film_0', 'film_1', ... by its position.

        Raises:
          InputError: an array that is no film, or a gate that is not there.
        """
        self._check_gate(gate)
        if isinstance(films, str | os.PathLike | np.ndarray):
            films = [films]
        listed = list(films)
        names = _names(listed)
        return [
            self._record(film, *name, gate)
            for film, name in zip(listed, names, strict=True)
        ]

    def _check_gate(self, gate: str) -> None:
        if gate not in GATES:
            raise InputError("gate", f"is {gate!r}", f"choose of {', '.join(GATES)}")
        if gate != "off" and self.gate is None:
            raise InputError(
                self.path,
                "was exported without a gate",
                "give gate='off', and look at the films yourself; or export the run "
                "again where its data are",
            )

    def _record(self, film: Source, path: str, name: str, gate: str) -> dict[str, Any]:
        recipe = self.recipe
        try:
            pixels, notes = _pixels(film, path, recipe)
            square = squares.square(pixels, recipe.preprocess)
        except (InputError, OSError) as error:
            if isinstance(film, np.ndarray):
                raise
            return records.record(recipe, path, name, error=str(error))
        outputs = self.network(square[None])
        said, reasons, probs = records.OFF, "", outputs.probs[0]
        if gate != "off":
            assert self.gate is not None  # _check_gate
            verdict = judge(self.gate, pixels, outputs.features[0])
            said, reasons = records.PASSED, records.reasons(verdict.findings)
            if not verdict.passed:
                said = records.REFUSED if gate == "refuse" else records.WARNED
        return records.record(
            recipe,
            path,
            name,
            None if said == records.REFUSED else probs,
            gate=said,
            gate_reasons=reasons,
            warnings=notes,
        )


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
    folder = pathlib.Path(path).expanduser()
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
    gate = None
    if contents.GATE in known:
        content = contents.read_json(folder, known, contents.GATE)
        gate = gate_file.from_json(content, folder / contents.GATE)
    return Bundle(folder, recipe, network, gate)


def _model(folder: pathlib.Path, known: Iterable[str], variant: str) -> str:
    there = {key: name for key, name in contents.MODELS.items() if name in known}
    if variant not in there:
        raise InputError(
            folder, f"has no variant {variant!r}", f"it has: {', '.join(there)}"
        )
    return there[variant]


def _pixels(film: Source, path: str, recipe: Recipe):
    if not isinstance(film, np.ndarray):
        found = squares.read(path, recipe.preprocess)
        return found.pixels, found.notes
    if film.ndim != 2 or film.dtype not in (np.uint8, np.uint16) or not film.size:
        raise InputError(
            path,
            f"is an array of {film.dtype} {list(film.shape)}",
            "give [H, W] of uint8 or uint16 over the full range of the type",
        )
    return film, ()


def _names(films: Sequence[Source]) -> list[tuple[str, str]]:
    """(path, example_id) of each: its stem, with folders where two have the same."""
    paths = [
        f"film_{i}" if isinstance(film, np.ndarray) else os.fspath(film)
        for i, film in enumerate(films)
    ]
    ids = [pathlib.PurePath(path).stem for path in paths]
    seen = {name: ids.count(name) for name in set(ids)}
    return [
        (path, name if seen[name] == 1 else str(pathlib.PurePath(path).with_suffix("")))
        for path, name in zip(paths, ids, strict=True)
    ]
