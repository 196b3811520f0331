"""Trained models for other programs: `cxr_jax.load`; see docs/api.md."""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, overload

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import steps
from cxr_jax.bundle import loaded
from cxr_jax.bundle.loaded import Bundle
from cxr_jax.devices import known_answers, sharding
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.predict import of_run, opening, run_files, scoring
from cxr_jax.predict import squares as squares_lib
from cxr_jax.predict.scoring import Scorer
from cxr_jax.runs import restore
from cxr_jax.state import evaluation_variables
from tfds_builders.common import places
from tfds_builders.common.errors import InputError


class Model(NamedTuple):
    """The model of a finished run: the checkpoint that was best on val.

    Attributes:
      workdir: of the run.
      config: of the run, locked.
      task: 'brixia', 'classify', ...
      classes: names in the order of the probabilities; () where there are none.
      decision: what was settled on val, such as the thresholds of the classes.
      step: jitted, batch -> predictions; called by `predict`.
      scorer: of the mode of the gate -> what scores files.
    """

    workdir: pathlib.Path
    config: ConfigDict
    task: str
    classes: tuple[str, ...]
    decision: dict[str, Any]
    step: Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]
    scorer: Callable[[str], Scorer]

    @overload
    def predict(
        self, films: Sequence[np.ndarray] | np.ndarray, gate: str = ...
    ) -> dict[str, np.ndarray]: ...
    @overload
    def predict(
        self, films: str | os.PathLike | Sequence[str | os.PathLike], gate: str = ...
    ) -> list[dict[str, Any]]: ...
    def predict(self, films, gate=scoring.REFUSE):
        """What the model makes of N radiographs: arrays, or files.

        Args:
          films: [N, H, W], or N arrays [H, W] of different sizes; uint8 or uint16 over
            their full range, air black (MONOCHROME2), as the builders store them. They
            are shrunk and resized as in the training. Or paths: files, folders,
            patterns, zip archives, as `--mode=predict --input` takes them. One array
            [H, W] or path alone will do.
          gate: 'refuse', 'warn' or 'off', for paths: what becomes of a film unlike
            those of the training. Arrays are scored as they are.

        Returns:
          Of arrays {name: [N, ...]}. brixia: `probs` [N, 6, 4] of the scores 0 to 3 of
          zones A to F and `expected` [N, 6]; classify: `probs` [N, K].
          Of paths a list with a dict for each film: the columns of predictions.csv.

        Raises:
          InputError: another type or shape; no such file; or the gate of the run cannot
            be fitted, because its training films are not there.
        """
        films = scoring.listed(films)
        if films and all(isinstance(each, str | os.PathLike) for each in films):
            return scoring.records(self.scorer(gate), films, gate)
        return self._of_arrays(films)

    def _of_arrays(self, films: list[np.ndarray]) -> dict[str, np.ndarray]:
        preprocess = run_files.preprocess_of(self.workdir, self.config)
        images = [scoring.checked(k, film) for k, film in enumerate(films)]
        # All at the depth of the training, whatever lies beside them.
        squares = [squares_lib.squared(image, preprocess) for image in images]
        if not squares:
            raise InputError("films", "there are none", "give at least one")
        found, batch_size = [], self.config.batch_size
        for start in range(0, len(squares), batch_size):
            part = squares[start : start + batch_size]
            filled = np.stack([*part, *(batch_size - len(part)) * part[:1]])
            outputs = jax.device_get(self.step({"image": filled}))
            found.append({name: value[: len(part)] for name, value in outputs.items()})
        return {
            name: np.concatenate([part[name] for part in found]) for name in found[0]
        }


def load(path: str | os.PathLike) -> Model | Bundle:
    """Opens the model of a finished run, or an exported one.

    Args:
      path: the workdir of the run, or the folder of a bundle, which needs no JAX where
        `cxr_jax.bundle.load` opens it.

    Raises:
      InputError: there is neither, the run is not finished, or a file is damaged.
    """
    workdir = places.expanded(os.fspath(path))
    if loaded.is_bundle(workdir):
        return loaded.load(workdir)
    run_files.check_folder(workdir)
    known_answers.require()
    config = config_lib.from_json(workdir / "config.json")
    with _quiet():
        trained = restore.load(workdir, config)
    exp, variables = trained.exp, evaluation_variables(trained.state)
    preprocess = make_preprocess(config.preprocess.eval, train=False)
    step = jax.jit(
        steps.make_predict_step(exp.model, exp.task, preprocess),
        out_shardings=sharding.replicated(exp.mesh),
    )
    opened = functools.cache(lambda: of_run.of_trained(workdir, trained))
    return Model(
        workdir=workdir,
        config=config,
        task=config.task.name,
        classes=tuple(config.task.settings.get("classes", ())),
        decision=trained.best["decision"],
        step=lambda batch: step(variables, sharding.put(batch, exp.mesh)),
        scorer=functools.cache(lambda mode: opening.of_opened(opened(), mode)),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps orbax's notes, which are for its developers, from the terminal."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
