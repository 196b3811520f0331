"""Evaluates a trained run on any compatible dataset: how external validation is done."""

from __future__ import annotations

import pathlib

import jax
from ml_collections import ConfigDict

from cxr_jax import checkpoint, evaluators, experiment, provenance, results, sharding
from cxr_jax import config as config_lib
from cxr_jax import state as state_lib
from cxr_jax.data import roles, source
from cxr_jax.writer import say
from tfds_builders.common.errors import InputError


def evaluate(config: ConfigDict | None, workdir: pathlib.Path, eval_on: str) -> int:
    """Restores the best checkpoint and evaluates it.

    Args:
      config: None for that of the run; a given one may differ in `data` (where the
        datasets lie), `batch_size` and `resamples` only.
      workdir: of the trained run; `predictions/` and `evaluations/` are written to.
      eval_on: `dataset[/config][:split]`; an empty dataset is that of the training,
        the default split is test.

    Returns:
      The exit code.
    """
    trained = config_lib.from_json(workdir / "config.json")
    config = trained if config is None else config
    changes = config_lib.diff(
        trained, config, ignore=("data.", "batch_size", "resamples")
    )
    if changes:
        raise InputError(
            "--config",
            "differs from the config of the run:\n  " + changes.replace("\n", "\n  "),
            "leave --config away: the run's own is read from its workdir",
        )
    best = checkpoint.read_best(workdir / "checkpoints")
    builder, split = _open(config, workdir, eval_on)
    # No shape depends on the length of the training, and eval needs no class weights.
    exp = experiment.build(
        config, train_examples=split.size, image_dtype=roles.image_dtype(split)
    )
    store = checkpoint.open_store(workdir / "checkpoints")
    state, _ = checkpoint.restore(store, exp.abstract_state, best["step"])
    evaluation = evaluators.evaluate(
        jax.jit(exp.eval_step, out_shardings=sharding.replicated(exp.mesh)),
        state_lib.evaluation_variables(state),
        split,
        exp.task,
        best["decision"],
        config=config,
        mesh=exp.mesh,
        resamples=config.resamples,
    )
    predictions = evaluators.save_predictions(
        workdir / "predictions", evaluation, exp.task
    )
    path = workdir / "evaluations" / f"{predictions.stem}.json"
    results.save(
        path,
        {
            "metrics": results.to_json({split.split: evaluation}),
            "best_step": best["step"],
            "best": best,
            "confusion": exp.task.confusion(
                evaluation.targets, evaluation.predictions, best["decision"]
            ),
            "sizes": {split.split: results.size(evaluation)},
            "dataset": builder.info.full_name,
            "synthetic": split.synthetic,
            "provenance": provenance.collect([source.describe(builder)]),
        },
    )
    results.show(
        evaluation,
        f"{builder.info.full_name} {split.split}, checkpoint of step {best['step']}",
    )
    say(f"\nwritten: {path}\n         {predictions}")
    return 0


def _open(config: ConfigDict, workdir: pathlib.Path, eval_on: str):
    data = config.data
    name, _, split = eval_on.partition(":")
    own = name in ("", data.dataset, data.dataset.split("/")[0])
    data_dir = roles.data_dir(data, workdir) if own else data.data_dir
    builder = source.open_builder(data.dataset if own else name, data_dir)
    fold = data.fold if own else -1
    return builder, source.load(builder, split or "test", fold=fold)
