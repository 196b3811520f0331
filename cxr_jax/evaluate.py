"""Evaluates a trained run on any compatible dataset: how external validation is done."""

from __future__ import annotations

import pathlib

import jax
from ml_collections import ConfigDict

from cxr_jax import (
    checkpoint,
    evaluators,
    experiment,
    provenance,
    results,
    sharding,
)
from cxr_jax import config as config_lib
from cxr_jax import state as state_lib
from cxr_jax.data import roles, source
from cxr_jax.writer import say
from tfds_builders.common.errors import InputError

# What may differ between training and evaluating: where the data lie, how much is done
# at once, and which class a label of another dataset stands for.
_FREE = ("data.data_dir", "batch_size", "resamples", "task.merge")


def evaluate(config: ConfigDict | None, workdir: pathlib.Path, eval_on: str) -> int:
    """Restores the best checkpoint and evaluates it.

    Args:
      config: None for that of the run; a given one may differ in `data.data_dir`,
        `batch_size`, `resamples` and `task.merge` only.
      workdir: of the trained run; `predictions/` and `evaluations/` are written to.
      eval_on: `dataset[/config][:split]`; an empty dataset is that of the training,
        the default split is test.

    Returns:
      The exit code.
    """
    trained = config_lib.from_json(workdir / "config.json")
    config = trained if config is None else config
    changes = config_lib.diff(trained, config, ignore=_FREE)
    if changes:
        raise InputError(
            "--config",
            "differs from the config of the run:\n  " + changes.replace("\n", "\n  "),
            "leave --config away: the run's own is read from its workdir",
        )
    best = checkpoint.read_best(workdir / "checkpoints")
    builder, split = open_split(config, workdir, eval_on)
    shared = patients_seen_in_training(config, workdir, builder, split)
    # No shape depends on the length of the training, nor on class weights.
    exp = experiment.build(
        config, train_examples=split.size, image_dtype=roles.image_dtype(split)
    )
    store = checkpoint.open_store(workdir / "checkpoints", read_only=True)
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
    name = file_name(config, builder, split)
    predictions = workdir / "predictions" / f"{name}.csv"
    evaluators.save_predictions(predictions, evaluation, exp.task)
    content = {
        "metrics": results.to_json({split.split: evaluation}),
        "best_step": best["step"],
        "best": best,
        "confusion": exp.task.confusion(
            evaluation.targets, evaluation.predictions, best["decision"]
        ),
        "sizes": {split.split: results.size(split)},
        "shared_patients": shared,
        "dataset": builder.info.full_name,
        "synthetic": split.synthetic,
        "provenance": provenance.collect(
            {**source.describe(builder), "roles": {"eval": source.fingerprint(split)}}
        ),
    }
    path = workdir / "evaluations" / f"{name}.json"
    results.save(path, content)
    results.show(split.split, content)
    say(f"\nwritten: {path}\n         {predictions}")
    return 0


def open_split(config: ConfigDict, workdir: pathlib.Path, eval_on: str):
    """-> (builder, split) of `dataset[/config][:split]`.

    The dataset of the training is read with the training's fold: its test split is
    the one that the run did not see.
    """
    data = config.data
    name, _, split = eval_on.partition(":")
    split = split or "test"
    name = name if name not in ("", data.dataset.split("/")[0]) else data.dataset
    own = name.split("/")[0] == data.dataset.split("/")[0]
    builder = source.open_builder(
        name, roles.data_dir(data, workdir) if own else data.data_dir
    )
    if own and data.fold >= 0 and split in roles.ROLES:
        return builder, roles.roles(builder, data)[split]
    return builder, source.load(builder, split)


def patients_seen_in_training(
    config: ConfigDict, workdir: pathlib.Path, builder, split: source.Split
) -> dict[str, int]:
    """Patients of the split that the run was trained or selected on, and a warning.

    Only within one dataset: the names of patients mean nothing across datasets.
    """
    if builder.name != config.data.dataset.split("/")[0]:
        return {}
    trained = source.open_builder(
        config.data.dataset, roles.data_dir(config.data, workdir)
    )
    parts = roles.roles(trained, config.data)
    shared = {
        f"{role}-{split.split}": source.shared_patients(parts[role], split)
        for role in ("train", "val")
        if role != split.split
    }
    for pair, number in shared.items():
        if number:
            say(f"WARNING: {number} {split.unit} are in both of {pair}")
    if split.split in ("train", "val"):
        say(f"WARNING: the run was trained or selected on {split.split}")
    return shared


def file_name(config: ConfigDict, builder, split: source.Split) -> str:
    """'covidgr-test'; with the config in it for the dataset of the training.

    So an evaluation never overwrites the predictions that the run itself wrote.
    """
    own = builder.name == config.data.dataset.split("/")[0]
    settings = builder.builder_config
    parts = [builder.name, settings.name] if own and settings else [builder.name]
    text = "_".join(parts) + "-" + split.split
    return "".join(c if c.isalnum() or c in "+-_" else "_" for c in text).strip("_")
