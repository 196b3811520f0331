"""The network of a finished run, with its recipe."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax import config as config_lib
from cxr_jax import trees
from cxr_jax.devices import known_answers
from cxr_jax.evaluation import attribution
from cxr_jax.experiment import Experiment
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.predict import blueprint as blueprint_lib
from cxr_jax.predict import run_files
from cxr_jax.predict.blueprint import Blueprint
from cxr_jax.predict.programs import Programs
from cxr_jax.predict.recipe import Recipe
from cxr_jax.predict.record import Outputs
from cxr_jax.predict.scoring import Network
from cxr_jax.runs import digest, restore
from cxr_jax.runs.restore import Trained
from cxr_jax.state import evaluation_variables
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.errors import InputError


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
    run_files.check_folder(workdir)
    known_answers.require()
    run_files.results(workdir)
    config = config_lib.from_json(workdir / "config.json")
    opened = of_trained(workdir, restore.load(workdir, config))
    blueprint_lib.keep(config, blueprint_of(opened.exp))
    return opened


def of_trained(workdir: pathlib.Path, trained: Trained) -> Opened:
    """The same of a checkpoint that is restored.

    Raises:
      InputError: its task is none that scores a film, or needs masks.
    """
    exp = trained.exp
    _check_task(workdir, exp)
    _check_no_masks(workdir, exp)
    variables, blueprint = evaluation_variables(trained.state), blueprint_of(exp)
    recipe = run_files.recipe(workdir, exp.config, blueprint, trained.best["decision"])
    bits = recipe.preprocess.bits
    network = Programs(exp.config, blueprint, exp.mesh, lambda: functions(exp), bits)
    network.hold(variables)
    return Opened(workdir, recipe, network, exp.config.batch_size, exp, variables)


def blueprint_of(exp: Experiment) -> Blueprint:
    """What is known of a model that predicts probabilities."""
    probabilities = exp.task.probabilities
    assert probabilities is not None  # _check_task
    return Blueprint(
        decided_by=exp.decided_by,
        shapes=digest.shapes(trees.by_name(exp.abstract_state)),
        targets={
            name: (list(shape), np.dtype(dtype).name)
            for name, (shape, dtype) in exp.task.example_targets.items()
        },
        task=exp.task.name,
        classes=list(probabilities.classes),
        questions=list(probabilities.questions),
    )


def functions(exp: Experiment) -> dict[str, Callable[..., Any]]:
    """What the programs of an experiment are traced from."""
    return {"eval_step": exp.eval_step, "outputs": _make_outputs(exp)}


def forward(exp: Experiment, variables: dict[str, Any]) -> Callable[..., Outputs]:
    """fn(images float32 [B, S, S, 1] in 0..1) -> Outputs, to be traced.

    Everything of config.preprocess.eval behind `to_float` is in it. The heat map is
    None where `attribution.grad_cam` refuses the model, which is tried here, once.
    """
    compute = _make_outputs(exp)
    noise = np.random.default_rng(0).random(_shape(exp, 1), np.float32)
    _, believed = jax.jit(compute)(variables, noise)
    has_map = bool(believed)

    def fn(images) -> Outputs:
        outputs, _ = compute(variables, images)
        return outputs if has_map else outputs._replace(heatmap=None)

    return fn


def _make_outputs(exp: Experiment):
    """fn(variables, images) -> (Outputs, whether to believe their heat map)."""
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
        ), gap <= attribution.TOLERANCE

    return outputs


def decided(opened: Opened, decision: dict[str, Any], settled_on: str) -> Opened:
    """The same run with a decision that was settled on other films than its val.

    decision: as that of a run; settled_on: of `Opened`.
    """
    confidence = decision["confidence"]
    settled = opened.recipe.decision._replace(
        temperature=confidence["temperature"],
        set_least=confidence["least"],
        interval_factor=run_files.factor(decision),
    )
    recipe = opened.recipe._replace(decision=settled)
    return opened._replace(recipe=recipe, settled_on=settled_on)


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
