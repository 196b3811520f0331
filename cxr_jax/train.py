"""The training loop, and nothing else."""

from __future__ import annotations

import pathlib

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import (
    checkpoint,
    evaluators,
    experiment,
    provenance,
    results,
    rng,
    sharding,
    trees,
    validation,
)
from cxr_jax.data import cache, pipeline, roles, source
from cxr_jax.final import finish
from cxr_jax.signals import StopRequest, listening
from cxr_jax.workdir import claimed, keep_config
from cxr_jax.writer import Writer, say


def train(config: ConfigDict, workdir: pathlib.Path) -> int:
    """Trains, or goes on training, and evaluates on test once at the end.

    Args:
      config: locked, of `configs/`.
      workdir: of this run; docs/runs.md says what it holds afterwards.

    Returns:
      The exit code: 0 when finished, or saved after SIGTERM; 130 after Ctrl-C. The
      final evaluation may be killed: the same command repeats it.
    """
    with claimed(workdir, config):
        if (workdir / "results.json").exists():
            results.show_finished(workdir / "results.json")
            return 0
        splits = roles.open_splits(config.data, workdir)
        exp = experiment.build(
            config,
            train_examples=splits.train.size,
            class_counts=experiment.count_classes(config.task, splits.train),
            image_dtype=roles.image_dtype(splits.train),
        )
        announce(exp, splits)
        splits = cache.hold(splits, config.data)
        provenance.save(workdir / "provenance.json", splits.description)
        keep_config(workdir, config)
        with listening() as stop:
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
    eval_step = evaluators.compile_step(exp)
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
        # Rather now than after an epoch: can the checkpoint be picked at all?
        validation.check_selection(exp, eval_step, state, splits.val)
    start = int(state.step)
    writer = Writer(
        workdir / "metrics.jsonl",
        start=start,
        total_steps=exp.total_steps,
        log_steps=exp.log_steps,
        batch_size=config.batch_size,
        steps_per_epoch=splits.train.size / config.batch_size,
        interval=memory["interval"],
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
    # All at once: a single call would wait for the step that was just sent off.
    rates = np.asarray(jax.vmap(exp.schedule)(np.arange(exp.total_steps)))
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
            memory = {**memory, "interval": writer.interval}
            checkpoint.save(store, state, memory)
        if asked:
            saved = f"step {step} is saved" if step else "no step was made yet"
            say(f"{stop.signal.name}: {saved}; the same command goes on")
        if last or asked:
            break
        batch = next(batches)
        batch.pop("index")
        state, metrics = train_step(state, sharding.put(batch, exp.mesh), root)
        writer.later(step + 1, metrics, float(rates[step]) * memory["lr_scale"])
    return memory


def announce(exp: experiment.Experiment, splits: roles.Splits) -> None:
    """Says what is about to be done, on what."""
    config, description = exp.config, splits.description
    marker = "  (SYNTHETIC phantoms)" if description["synthetic"] else ""
    say(f"data   {description['name']}{marker}")
    for role in ("train", "val", "test"):
        split = getattr(splits, role)
        say(f"       {role:5} {results.count(split)}")
    for pair, shared in roles.shared_patients(splits).items():
        if shared:
            say(f"       WARNING: {shared} {splits.train.unit} are in both of {pair}")
    size = trees.size(exp.abstract_state.params)
    height, width, channels = exp.image_shape
    say(f"model  {config.model.name}, {size:,} parameters, {height}x{width}x{channels}")
    say(
        f"train  {exp.total_steps} steps of {config.batch_size} images on "
        f"{jax.device_count()} {jax.devices()[0].platform} device(s); "
        "the first step compiles"
    )
