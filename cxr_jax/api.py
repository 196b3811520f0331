"""Trained models for other programs: `cxr_jax.load`; see docs/api.md."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import steps
from cxr_jax.data import decode
from cxr_jax.devices import known_answers, sharding
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.runs import restore
from cxr_jax.state import evaluation_variables
from tfds_builders.common import places
from tfds_builders.common.errors import InputError

_TYPES = (np.uint8, np.uint16)


class Model(NamedTuple):
    """The model of a finished run: the checkpoint that was best on val.

    Attributes:
      workdir: of the run.
      config: of the run, locked.
      task: 'brixia', 'classify', ...
      classes: names in the order of the probabilities; () where there are none.
      decision: what was settled on val, such as the thresholds of the classes.
      step: jitted, batch -> predictions; called by `predict`.
    """

    workdir: pathlib.Path
    config: ConfigDict
    task: str
    classes: tuple[str, ...]
    decision: dict[str, Any]
    step: Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]

    def predict(self, images: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """What the model makes of N radiographs.

        Args:
          images: [N, H, W], or N arrays [H, W] of different sizes; uint8 or uint16 over
            their full range, air black (MONOCHROME2), as the builders store them. They
            are resized as in the training.

        Returns:
          {name: [N, ...]}. brixia: `probs` [N, 6, 4] of the scores 0 to 3 of zones A to
          F and `expected` [N, 6]; classify: `probs` [N, K].

        Raises:
          InputError: another type or shape.
        """
        data, batch_size = self.config.data, self.config.batch_size
        for number, image in enumerate(images):
            _check(number, image)
        squares = [decode.fit(image, data.size, data.square) for image in images]
        if not squares:
            raise InputError("images", "there are none", "give at least one")
        found = []
        for start in range(0, len(squares), batch_size):
            part = squares[start : start + batch_size]
            filled = np.stack([*part, *(batch_size - len(part)) * part[:1]])
            outputs = jax.device_get(self.step({"image": filled}))
            found.append({name: value[: len(part)] for name, value in outputs.items()})
        return {
            name: np.concatenate([part[name] for part in found]) for name in found[0]
        }


def load(workdir: str | pathlib.Path) -> Model:
    """Opens the model of a finished run.

    Raises:
      InputError: there is no such run, it is not finished, or a file is damaged.
    """
    known_answers.require()
    workdir = places.expanded(workdir)
    config = config_lib.from_json(workdir / "config.json")
    with _quiet():
        trained = restore.load(workdir, config)
    exp, variables = trained.exp, evaluation_variables(trained.state)
    preprocess = make_preprocess(config.preprocess.eval, train=False)
    step = jax.jit(
        steps.make_predict_step(exp.model, exp.task, preprocess),
        out_shardings=sharding.replicated(exp.mesh),
    )
    return Model(
        workdir=workdir,
        config=config,
        task=config.task.name,
        classes=tuple(config.task.settings.get("classes", ())),
        decision=trained.best["decision"],
        step=lambda batch: step(variables, sharding.put(batch, exp.mesh)),
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


def _check(number: int, image: Any) -> None:
    array = np.asarray(image)
    if array.ndim != 2 or array.dtype not in _TYPES:
        raise InputError(
            f"images[{number}]",
            f"is an array of {array.dtype} {list(array.shape)}",
            "give [H, W] of uint8 or uint16 over the full range of the type",
        )
