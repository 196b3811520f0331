"""The network of a finished run, with its recipe."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import __version__
from cxr_jax import config as config_lib
from cxr_jax.devices import known_answers, sharding
from cxr_jax.evaluation import attribution
from cxr_jax.experiment import Experiment
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.predict.recipe import BRIXIA, Decision, Preprocess, Recipe
from cxr_jax.predict.record import Outputs
from cxr_jax.predict.scoring import Network
from cxr_jax.runs import provenance, restore
from cxr_jax.runs.restore import Trained
from cxr_jax.state import evaluation_variables
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common import files
from tfds_builders.common.dicom.radiograph import POLARITIES
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import RESTORE
from tfds_builders.common.stored import stored_as

_WANTED = "give the workdir of a finished run, or a bundle"


class Opened(NamedTuple):
    """A finished run, ready to score.

    Attributes:
      workdir: of the run.
      recipe: of it.
      network: of any number of films at a time.
      batch_size: of films that it computes at once.
      exp, variables: for what else is made of the run.
      settled_on: the films that its confidence and intervals were settled on.
      measured: figures of models like it out of fold, where it was itself trained on
        all films; its own on test would be of films it has learned.
    """

    workdir: pathlib.Path
    recipe: Recipe
    network: Network
    batch_size: int
    exp: Experiment
    variables: dict[str, Any]
    settled_on: str = "val of the same data"
    measured: dict[str, Estimate] | None = None


def open_run(workdir: pathlib.Path) -> Opened:
    """Opens the checkpoint of a run that was best on val.

    Raises:
      InputError: there is no such run, it is not finished, a file is damaged, or its
        task is none that scores a film.
    """
    check_folder(workdir)
    known_answers.require()
    files.read_json(workdir / "results.json", missing=_WANTED, damaged=RESTORE)
    config = config_lib.from_json(workdir / "config.json")
    return of_trained(workdir, restore.load(workdir, config))


def check_folder(workdir: pathlib.Path) -> None:
    """Raises InputError where there is not a folder, which no run can be."""
    if not workdir.is_dir():
        raise InputError(workdir, "is not a folder", _WANTED)


def of_trained(workdir: pathlib.Path, trained: Trained) -> Opened:
    """The same of a checkpoint that is restored.

    Raises:
      InputError: its task is none that scores a film, or needs masks.
    """
    exp = trained.exp
    _check_task(workdir, exp)
    _check_no_masks(workdir, exp)
    variables = evaluation_variables(trained.state)
    recipe = _recipe(workdir, exp, trained.best["decision"])
    network = _Programs(exp, variables, trained.eval_step, recipe.preprocess.bits)
    return Opened(workdir, recipe, network, exp.config.batch_size, exp, variables)


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


def forward(exp: Experiment, variables: dict[str, Any]) -> Callable[..., Outputs]:
    """fn(images float32 [B, S, S, 1] in 0..1) -> Outputs, to be traced.

    Everything of config.preprocess.eval behind `to_float` is in it. The heat map is
    None where `attribution.grad_cam` refuses the model, which is tried here, once.
    """
    compute = _make_outputs(exp)
    noise = np.random.default_rng(0).random(_shape(exp, 1), np.float32)
    _, gap = jax.jit(compute)(variables, noise)
    believed = bool(gap <= attribution.TOLERANCE)

    def fn(images) -> Outputs:
        outputs, _ = compute(variables, images)
        return outputs if believed else outputs._replace(heatmap=None)

    return fn


def _make_outputs(exp: Experiment):
    """fn(variables, images) -> (Outputs, gap of `attribution.small_map`)."""
    ops = make_preprocess(exp.config.preprocess.eval, train=False, from_unit=True)
    score = attribution.score_of(exp.task)

    def outputs(variables, images):
        images = ops({"image": images}, None)["image"]
        output = exp.model.apply(variables, images, train=False)
        probs = exp.task.predict(exp.task.reads(output))["probs"]
        last = attribution.last_map(output).astype(jnp.float32)
        small, gap = attribution.small_map(
            exp.model, variables["params"], output, score
        )
        return Outputs(
            probs=probs.reshape(len(probs), -1, probs.shape[-1]),
            features=last.mean(axis=(1, 2)) if last.ndim == 4 else last,
            heatmap=small,
        ), gap

    return outputs


class _Programs:
    """The network of a run: probabilities equal to those of --mode=eval, bit for bit.

    They come from that very program, `eval_step`. Another one gives features and heat
    map too, and its probabilities; how a compiler orders its sums does not depend on
    the pixels. So once both agreed on every bit of a whole batch of different films,
    the second is enough.

    Its order does depend on the size of the batch (2.7e-6 of a probability on a CPU), so
    `eval_step` is given whole batches always. Where there is one film, only the other
    program computes it alone.
    """

    def __init__(self, exp: Experiment, variables, eval_step, bits: int):
        self._exp, self._eval_step = exp, eval_step
        self._variables = sharding.replicate(variables, exp.mesh)
        self._outputs = exp.kept("outputs", _make_outputs(exp))
        self._type = np.uint16 if bits == 16 else np.uint8
        self._targets = {
            name: np.zeros((exp.config.batch_size, *shape), dtype)
            for name, (shape, dtype) in exp.task.example_targets.items()
        }
        self._agreed = False
        self._alone = True  # whether no more than a film per device was ever asked for
        self._has_map: bool | None = None

    def __call__(self, images: np.ndarray) -> Outputs:
        size = self._exp.config.batch_size
        parts = [
            self._batch(images[start : start + size])
            for start in range(0, len(images), size)
        ]
        return jax.tree.map(lambda *each: np.concatenate(each), *parts)

    def _batch(self, images: np.ndarray) -> Outputs:
        count, size = len(images), self._exp.config.batch_size
        self._alone = self._alone and count <= self._exp.mesh.size
        put = partial(sharding.put, mesh=self._exp.mesh)
        few = _filled(images, self._exp.mesh.size if self._alone else size)
        found, gap = self._outputs(self._variables, put({"image": few})["image"])
        if self._agreed:
            probs = np.asarray(found.probs)
        else:
            # Traced while the device is at work on the other one.
            probs = self._own(put, _filled(images, size))
            if len(few) == size:
                different = len(np.unique(probs.reshape(size, -1), axis=0)) == size
                self._agreed = different and np.array_equal(probs, found.probs)
        if self._has_map is None:
            self._has_map = bool(np.asarray(gap) <= attribution.TOLERANCE)
        heatmap = np.asarray(found.heatmap)[:count] if self._has_map else None
        return Outputs(probs[:count], np.asarray(found.features)[:count], heatmap)

    def _own(self, put, images: np.ndarray) -> np.ndarray:
        """Those of `eval_step`, for a whole batch of images in 0..1."""
        stored = np.rint(images * np.float32(np.iinfo(self._type).max))
        batch = put({"image": stored.astype(self._type), **self._targets})
        probs = np.asarray(self._eval_step(self._variables, batch)["probs"])
        return probs.reshape(len(probs), -1, probs.shape[-1])


def _filled(images: np.ndarray, size: int) -> np.ndarray:
    """As many, by repeating the first."""
    return np.concatenate([images, np.repeat(images[:1], size - len(images), axis=0)])


def _recipe(workdir: pathlib.Path, exp: Experiment, decision) -> Recipe:
    config, task = exp.config, exp.task
    dataset = provenance.read(workdir / "provenance.json")["dataset"]
    results = files.read_json(
        workdir / "results.json", missing=_WANTED, damaged=RESTORE
    )
    probabilities = task.probabilities
    assert probabilities is not None  # _check_task
    confidence = decision["confidence"]
    synthetic = " (SYNTHETIC phantoms)" if dataset.get("synthetic") else ""
    return Recipe(
        name=workdir.absolute().name,
        task=task.name,
        classes=tuple(probabilities.classes),
        questions=tuple(probabilities.questions),
        decision=Decision(
            thresholds=None if task.name == BRIXIA else tuple(decision["thresholds"]),
            temperature=confidence["temperature"],
            set_least=confidence["least"],
            interval_factor=_factor(decision),
        ),
        preprocess=preprocess_of(workdir, config),
        trained_on="/".join(_dataset(dataset, config)) + synthetic,
        run_digest=results.get("digest", ""),
        made_by=f"cxr_jax {__version__}",
    )


def decided(opened: Opened, decision: dict[str, Any], settled_on: str) -> Opened:
    """The same run with a decision that was settled on other films than its val.

    decision: as that of a run; settled_on: of `Opened`.
    """
    confidence = decision["confidence"]
    settled = opened.recipe.decision._replace(
        temperature=confidence["temperature"],
        set_least=confidence["least"],
        interval_factor=_factor(decision),
    )
    recipe = opened.recipe._replace(decision=settled)
    return opened._replace(recipe=recipe, settled_on=settled_on)


def _factor(decision) -> float | None:
    """That of the interval; JSON has null for infinity."""
    if "interval_factor" not in decision:
        return None
    factor = decision["interval_factor"]
    return np.inf if factor is None else factor


def _check_task(workdir: pathlib.Path, exp: Experiment) -> None:
    if exp.task.probabilities is None:
        raise InputError(
            workdir,
            f"its task is {exp.task.name}, which predicts no probabilities of classes or "
            "scores",
            "give a run of the tasks brixia or classify",
        )


def _check_no_masks(workdir: pathlib.Path, exp: Experiment) -> None:
    ops = make_preprocess(exp.config.preprocess.eval, train=False, from_unit=True)
    image = jax.ShapeDtypeStruct(_shape(exp, 1), np.float32)
    try:
        jax.eval_shape(lambda image: ops({"image": image}, None), image)
    except (InputError, KeyError):
        raise InputError(
            workdir,
            f"its preprocessing ({exp.config.preprocess.eval}) needs lung masks, which "
            "a film in a folder does not have",
            "give a run that was trained without masks",
        ) from None


def _shape(exp: Experiment, batch: int) -> tuple[int, int, int, int]:
    side = exp.config.data.size
    return batch, side, side, 1
