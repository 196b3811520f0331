"""The training loop, and nothing else."""

from __future__ import annotations

import math
import pathlib
import signal
import time
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import (
    checkpoint,
    evaluators,
    experiment,
    plateau,
    provenance,
    results,
    rng,
    sharding,
    tasks,
    trees,
)
from cxr_jax import state as state_lib
from cxr_jax.data import phantom, pipeline, source
from cxr_jax.workdir import claimed
from cxr_jax.writer import Writer, say
from tfds_builders.common.errors import InputError


class Splits(NamedTuple):
    """The three roles of a dataset and what describes it."""

    train: source.Split
    val: source.Split
    test: source.Split
    description: dict[str, Any]


def train(config: ConfigDict, workdir: pathlib.Path) -> int:
    """Trains, or goes on training, and evaluates on test once at the end.

    Args:
      config: locked, of `configs/`.
      workdir: of this run; see the README for what it holds afterwards.

    Returns:
      The exit code: 0 when finished or after SIGTERM, 130 after SIGINT.
    """
    stop = _StopRequest()
    with claimed(workdir, config):
        if (workdir / "results.json").exists():
            say(f"{workdir} is finished: {workdir / 'results.json'}")
            return 0
        splits = open_splits(config, workdir)
        exp = build_experiment(config, splits)
        provenance_path = workdir / "provenance.json"
        results.save(provenance_path, provenance.collect([splits.description]))
        _announce(exp, splits)
        meta = _fit(exp, splits, workdir, stop)
        if stop.signal is not None:
            return 130 if stop.signal == signal.SIGINT else 0
        _finish(exp, splits, workdir, meta["best"])
    return 0


def open_splits(config: ConfigDict, workdir: pathlib.Path) -> Splits:
    """Opens train, val and test; writes and builds the phantom where asked to."""
    data = config.data
    data_dir = phantom.ensure(data, workdir) if data.phantom else data.data_dir
    builder = source.open_builder(data.dataset, data_dir)
    roles = {
        role: source.load(builder, data[role], fold=data.fold)
        for role in ("train", "val", "test")
    }
    return Splits(**roles, description=source.describe(builder))


def build_experiment(config: ConfigDict, splits: Splits) -> experiment.Experiment:
    """`experiment.build` with what it needs to know of the training split."""
    counts = None
    if config.task.name == "classify" and config.task.balanced:
        labels = tasks.make_task(config.task).targets(splits.train)["label"]
        counts = np.bincount(labels, minlength=len(config.task.classes))
    dtype = source.decode(
        splits.train.read(int(splits.train.rows[0]))["image"], 1, "stretch"
    ).dtype
    return experiment.build(
        config,
        train_examples=splits.train.size,
        class_counts=counts,
        image_dtype=dtype,
    )


def _fit(exp: experiment.Experiment, splits: Splits, workdir, stop) -> dict[str, Any]:
    """The loop; its order is law: evaluate, checkpoint, batch, step, log one late."""
    config = exp.config
    store = checkpoint.open_store(workdir / "checkpoints")
    restored = checkpoint.restore(store, exp.abstract_state)
    everywhere = sharding.replicated(exp.mesh)
    if restored:
        state, meta = restored
        checkpoint.write_best(store.folder, meta["best"])
        say(f"going on from step {int(state.step)}")
    else:
        state = jax.device_put(exp.init(), everywhere)
        start = dict(plateau.START)
        meta = {"best": None, "plateau": start, "stopping": start, "stopped": False}
        meta["constant"] = exp.task.constant(exp.task.targets(splits.train))
    start = int(state.step)
    train_step = jax.jit(exp.train_step, donate_argnums=0, out_shardings=everywhere)
    eval_step = jax.jit(exp.eval_step, out_shardings=everywhere)
    writer = Writer(
        workdir / "metrics.jsonl",
        start=start,
        total_steps=exp.total_steps,
        log_steps=exp.log_steps,
        batch_size=config.batch_size,
        steps_per_epoch=splits.train.size / config.batch_size,
    )
    batches = pipeline.train_batches(
        source.Examples(
            splits.train,
            exp.task.targets(splits.train),
            size=config.data.size,
            square=config.data.square,
        ),
        batch_size=config.batch_size,
        seed=config.seed,
        start=start,
    )
    root = jax.device_put(rng.root(config.seed), everywhere)
    for step in range(start, exp.total_steps + 1):
        last = step == exp.total_steps
        if step > start:
            improved = False
            if step % exp.eval_steps == 0 or last:
                writer.flush()
                state, meta, improved = _validate(
                    exp, eval_step, state, meta, splits.val, writer
                )
            due = step % exp.checkpoint_steps == 0 or last or meta["stopped"]
            if due or improved or stop.signal is not None:
                writer.flush()
                checkpoint.save(store, state, meta)
        if stop.signal is not None:
            say(f"{stop.signal.name}: saved step {step}; the same command goes on")
            return meta
        if last or meta["stopped"]:
            break
        batch = next(batches)
        batch.pop("index")
        state, metrics = train_step(state, sharding.put(batch, exp.mesh), root)
        lr = float(exp.schedule(step)) * meta.get("lr_scale", 1.0)
        writer.later(step + 1, metrics, lr)
    return meta


def _validate(exp, eval_step, state, meta, val: source.Split, writer: Writer):
    """Evaluates on val; -> (state with its learning-rate factor, meta, improved?)."""
    since = time.monotonic()
    config, step = exp.config, int(state.step)
    targets, predictions = evaluators.predict(
        eval_step,
        state_lib.evaluation_variables(state),
        val,
        exp.task,
        config=config,
        mesh=exp.mesh,
    )
    decision = exp.task.decide(targets, predictions)
    metrics = exp.task.metrics(
        val, targets, predictions, decision, resamples=0, seed=config.seed
    )
    name = config.select or exp.task.select
    value = _selected(metrics, name)
    best = meta["best"]
    sign = 1 if tasks.lower_is_better(name) else -1
    improved = best is None or sign * value < sign * best["value"]
    if improved:
        best = {
            "step": step,
            "metric": f"val/{name}",
            "value": value,
            "decision": {**decision, **meta["constant"]},
        }
    loss = metrics["loss"].value
    reduced, lr_scale = plateau.reduce(
        meta["plateau"], loss, float(state.lr_scale), config.plateau, config.optim.lr
    )
    stopping, stopped = plateau.stop(meta["stopping"], loss, config.stop_patience)
    line = f"val loss {loss:.4f}  {name} {value:.4f}" + ("  best" if improved else "")
    if stopped:
        line += f"  no better for {config.stop_patience} evaluations: stopping"
    writer.evaluated(
        step, {f"val/{k}": m.value for k, m in metrics.items()}, line, since
    )
    state = state._replace(
        lr_scale=jax.device_put(np.float32(lr_scale), sharding.replicated(exp.mesh))
    )
    meta = {
        **meta,
        "best": best,
        "plateau": reduced,
        "stopping": stopping,
        "stopped": stopped,
        "lr_scale": lr_scale,
    }
    return state, meta, improved


def _selected(metrics, name: str) -> float:
    if name not in metrics:
        raise InputError(
            "config.select",
            f"val has no metric {name!r}",
            f"choose one of: {', '.join(metrics)}",
        )
    estimate = metrics[name]
    if not math.isfinite(estimate.value):
        raise InputError(
            "config.select",
            f"val/{name} cannot be computed: {estimate.reason or estimate.value}",
            "select by another metric (config.select=loss) or use a larger val split",
        )
    return estimate.value


def _finish(exp, splits: Splits, workdir: pathlib.Path, best: dict[str, Any]) -> None:
    """Evaluates the best checkpoint on val and, for the only time, on test."""
    store = checkpoint.open_store(workdir / "checkpoints")
    state, _ = checkpoint.restore(store, exp.abstract_state, best["step"])
    eval_step = jax.jit(exp.eval_step, out_shardings=sharding.replicated(exp.mesh))
    evaluations = {}
    for role in ("val", "test"):
        evaluations[role] = evaluators.evaluate(
            eval_step,
            state_lib.evaluation_variables(state),
            getattr(splits, role),
            exp.task,
            best["decision"],
            config=exp.config,
            mesh=exp.mesh,
            resamples=exp.config.resamples,
        )
        evaluators.save_predictions(
            workdir / "predictions", evaluations[role], exp.task
        )
    shared = {
        f"train-{role}": source.shared_patients(splits.train, getattr(splits, role))
        for role in ("val", "test")
    }
    results.save(
        workdir / "results.json",
        {
            "metrics": results.to_json(evaluations),
            "best_step": best["step"],
            "best": best,
            "sizes": {
                "parameters": trees.size(state.params),
                "train": splits.train.size,
                **{role: results.size(e) for role, e in evaluations.items()},
            },
            "confusion": {
                role: exp.task.confusion(e.targets, e.predictions, best["decision"])
                for role, e in evaluations.items()
            },
            "shared_patients": shared,
            "dataset": splits.description["name"],
            "synthetic": splits.description["synthetic"],
        },
    )
    test = evaluations["test"]
    results.show(
        test,
        f"{splits.description['name']} {splits.test.split}, checkpoint of step "
        f"{best['step']} ({best['metric']} {best['value']:.3f})",
    )
    say(f"\nwritten: {workdir / 'results.json'}")


def _announce(exp: experiment.Experiment, splits: Splits) -> None:
    config, description = exp.config, splits.description
    marker = "  (SYNTHETIC phantoms)" if description["synthetic"] else ""
    say(f"data   {description['name']}{marker}")
    for role in ("train", "val", "test"):
        split = getattr(splits, role)
        patients = len(set(split.table["patient_id"]))
        say(f"       {role:5} {split.size:6} images of {patients} patients")
    for role in ("val", "test"):
        shared = source.shared_patients(splits.train, getattr(splits, role))
        if shared:
            say(f"       WARNING: {shared} patients of {role} are also in train")
    size = trees.size(exp.abstract_state.params)
    height, width, channels = exp.image_shape
    say(f"model  {config.model.name}, {size:,} parameters, {height}x{width}x{channels}")
    say(
        f"train  {exp.total_steps} steps of {config.batch_size} images on "
        f"{jax.device_count()} {jax.devices()[0].platform} device(s); "
        "the first step compiles"
    )


class _StopRequest:
    """Remembers the first SIGTERM or SIGINT; a second one ends the process."""

    def __init__(self):
        self.signal: signal.Signals | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number, frame):
        del frame
        self.signal = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)
        say(f"{self.signal.name}: saving after this step")
