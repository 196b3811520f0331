"""The training loop, and nothing else."""

from __future__ import annotations

import pathlib

import jax
from ml_collections import ConfigDict

from cxr_jax import (
    checkpoint,
    experiment,
    provenance,
    rng,
    sharding,
    trees,
    validation,
)
from cxr_jax.data import pipeline, roles, source
from cxr_jax.final import finish
from cxr_jax.signals import StopRequest
from cxr_jax.workdir import claimed
from cxr_jax.writer import Writer, say


def train(config: ConfigDict, workdir: pathlib.Path) -> int:
    """Trains, or goes on training, and evaluates on test once at the end.

    Args:
      config: locked, of `configs/`.
      workdir: of this run; docs/runs.md says what it holds afterwards.

    Returns:
      The exit code: 0 when finished or after SIGTERM, 130 after Ctrl-C.
    """
    stop = StopRequest()
    with claimed(workdir, config):
        if (workdir / "results.json").exists():
            say(f"{workdir} is finished: {workdir / 'results.json'}")
            return 0
        splits = roles.open_splits(config.data, workdir)
        exp = experiment.build(
            config,
            train_examples=splits.train.size,
            class_counts=experiment.count_classes(config.task, splits.train),
            image_dtype=roles.image_dtype(splits.train),
        )
        provenance.save(workdir / "provenance.json", [splits.description])
        announce(exp, splits)
        memory = fit(exp, splits, workdir, stop)
        if stop.signal is not None:
            return stop.exit_code
        finish(exp, splits, workdir, memory["best"])
    return 0


def fit(
    exp: experiment.Experiment,
    splits: roles.Splits,
    workdir: pathlib.Path,
    stop: StopRequest,
) -> validation.Memory:
    """The loop; its order is law: evaluate, checkpoint, batch, step, log one late."""
    config = exp.config
    everywhere = sharding.replicated(exp.mesh)
    train_step = jax.jit(exp.train_step, donate_argnums=0, out_shardings=everywhere)
    eval_step = jax.jit(exp.eval_step, out_shardings=everywhere)
    targets = exp.task.targets(splits.train)
    store = checkpoint.open_store(workdir / "checkpoints")
    restored = checkpoint.restore(store, exp.abstract_state)
    if restored:
        state, memory = restored
        checkpoint.write_best(store.folder, memory["best"])
        say(f"going on from step {int(state.step)}")
    else:
        state = jax.device_put(exp.init(), everywhere)
        memory = validation.start(exp.task.constant(targets))
    start = int(state.step)
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
            splits.train, targets, size=config.data.size, square=config.data.square
        ),
        batch_size=config.batch_size,
        seed=config.seed,
        start=start,
    )
    root = jax.device_put(rng.root(config.seed), everywhere)
    for step in range(start, exp.total_steps + 1):
        last, improved = step == exp.total_steps, False
        # What was due at the start of a resumed run was done before its checkpoint.
        if step > start and (step % exp.eval_steps == 0 or last):
            writer.flush()
            state, memory, improved = validation.validate(
                exp, eval_step, state, memory, splits.val, writer
            )
        last = last or memory["stopped"]
        asked = stop.signal is not None
        if step > start and (
            step % exp.checkpoint_steps == 0 or improved or last or asked
        ):
            writer.flush()
            checkpoint.save(store, state, memory)
        if asked:
            say(f"{stop.signal.name}: step {step} is saved; the same command goes on")
        if last or asked:
            break
        batch = next(batches)
        batch.pop("index")
        state, metrics = train_step(state, sharding.put(batch, exp.mesh), root)
        lr = float(exp.schedule(step)) * memory["lr_scale"]
        writer.later(step + 1, metrics, lr)
    return memory


def announce(exp: experiment.Experiment, splits: roles.Splits) -> None:
    """Says what is about to be done, on what."""
    config, description = exp.config, splits.description
    marker = "  (SYNTHETIC phantoms)" if description["synthetic"] else ""
    say(f"data   {description['name']}{marker}")
    for role in ("train", "val", "test"):
        split = getattr(splits, role)
        patients = len(set(split.table["patient_id"]))
        say(f"       {role:5} {split.size:6} images of {patients} patients")
    for pair, shared in roles.shared_patients(splits).items():
        if shared:
            say(f"       WARNING: {shared} patients are in both of {pair}")
    size = trees.size(exp.abstract_state.params)
    height, width, channels = exp.image_shape
    say(f"model  {config.model.name}, {size:,} parameters, {height}x{width}x{channels}")
    say(
        f"train  {exp.total_steps} steps of {config.batch_size} images on "
        f"{jax.device_count()} {jax.devices()[0].platform} device(s); "
        "the first step compiles"
    )
