"""The training loop, and nothing else."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from contextlib import closing
from functools import partial

import jax
from ml_collections import ConfigDict

from cxr_jax import experiment, rng, trees
from cxr_jax.data import cache, pipeline, roles
from cxr_jax.devices import processes, sharding
from cxr_jax.runs import provenance, results
from cxr_jax.runs.workdir import claimed, keep_config
from cxr_jax.runs.writer import say
from cxr_jax.train import stepper, validation
from cxr_jax.train.final_evaluation import finish
from cxr_jax.train.profiling import recorded
from cxr_jax.train.session import Run
from cxr_jax.train.signals import StopRequest, listening

# Steps between two questions whether one of several processes was told to stop.
_ASK = 16


def train(
    config: ConfigDict,
    workdir: pathlib.Path,
    *,
    profile: int = 0,
    allow: Sequence[str] = (),
) -> int:
    """Trains, or goes on training, and evaluates on test once at the end.

    Args:
      config: locked, of `configs/`.
      workdir: of this run; docs/runs.md says what it holds afterwards.
      profile: calls of the step that are traced, after the one that compiles.
      allow: keys of the config that may differ from those the run began with.

    Returns:
      The exit code: 0 when finished, or saved after SIGTERM; 130 after Ctrl-C. The
      final evaluation may be killed: the same command repeats it.
    """
    with claimed(workdir, config, allow=allow) as changes:
        if (workdir / "results.json").exists():
            results.show_finished(workdir / "results.json")
            report(config, workdir)
            return 0
        exp, splits = prepare(config, workdir)
        place = cache.residency(splits, config.data)
        announce(exp, splits, place)
        if place != "disk":
            splits = cache.hold(splits, config.data)
        if processes.is_first():
            provenance.save(workdir / "provenance.json", splits.description, changes)
            keep_config(workdir, config)
        run = Run(exp, splits, workdir)
        del splits  # or its pictures would stay
        with listening() as stop:
            memory = fit(run, place, stop, profile)
        if memory is None:
            return stop.exit_code
        finish(exp, run.splits, workdir, memory["best"])
        report(config, workdir)
    return 0


def report(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Where one is asked for and none is there yet: a kill may have come before it."""
    if config.report:
        from cxr_jax.report import write  # matplotlib takes a second

        write.write_missing(workdir)


def prepare(
    config: ConfigDict, workdir: pathlib.Path
) -> tuple[experiment.Experiment, roles.Splits]:
    """The experiment and its data; a phantom is made in the workdir where asked for."""
    splits = roles.open_splits(config.data, workdir)
    return build(config, splits), splits


def build(config: ConfigDict, splits: roles.Splits) -> experiment.Experiment:
    """The experiment of a config on these splits."""
    return experiment.build(
        config,
        train_examples=splits.train.size,
        class_counts=experiment.count_classes(config.task, splits.train),
        image_dtype=roles.image_dtype(splits.train),
    )


def fit(
    run: Run, place: str, stop: StopRequest, profile: int = 0
) -> validation.Memory | None:
    """The loop; its order is law: evaluate, checkpoint, batches, steps, log later.

    Args:
      run: what is trained.
      place: where its training pictures live, of `cache.residency`.
      stop: asks to end early.
      profile: calls of the step that are traced.

    Returns:
      What is remembered of the run, `validation.start`; None if it ended early.
    """
    state = run.begin()
    advance, most = make_feed(run, place)
    pace = stepper.Pace(most)
    step = ask = run.start
    traced = profile if processes.is_first() else 0
    with (
        closing(run),
        recorded(run.workdir / "profile", step + 1, traced) as trace,
    ):
        while True:
            improved = run.evaluate(step, state)
            over = run.is_over(step)
            asked = False
            # Asking the other processes has all of them wait for the devices.
            if step >= ask or processes.count() == 1:
                asked, ask = processes.anywhere(stop.signal is not None), step + _ASK
            if improved or over or asked or run.is_due_to_save(step):
                run.save(step, state)
            if asked or over:
                break
            end = min(step + pace.steps, run.next_stop(step))
            settings = run.settings(step, end)
            trace.before(step)
            state, metrics = advance(state, step, settings)
            trace.after(metrics)
            run.note(end, metrics, settings)
            pace.sent(end - step)
            step = end
    processes.wait("checkpoints")  # which all are about to read
    if not asked:
        return run.memory
    saved = f"step {step} is saved" if step else "no step was made yet"
    say(f"{stop.name}: {saved}; the same command goes on")
    return None


def make_feed(run: Run, place: str) -> stepper.Feed:
    """Steps of the run, with batches from where its pictures live."""
    exp, train, config = run.exp, run.splits.train, run.exp.config
    root = sharding.compute(partial(rng.root, config.seed), exp.mesh)
    if place == "device":
        data = {**train.pixels, **run.targets}
        run.forget_pictures()
        return stepper.on_device(exp.train_step, exp.mesh, data, root, order=run.order)
    examples = pipeline.Examples(
        train, run.targets, size=config.data.size, square=config.data.square
    )
    return stepper.from_host(
        exp.train_step,
        exp.mesh,
        examples,
        root,
        batch_size=config.batch_size,
        seed=config.seed,
        start=run.start,
    )


def announce(exp: experiment.Experiment, splits: roles.Splits, place: str) -> None:
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
    devices = f"{jax.device_count()} {jax.devices()[0].platform} device(s)"
    if processes.count() > 1:
        devices += f" of {processes.count()} processes"
    say(
        f"train  {exp.total_steps} steps of {config.batch_size} images from the {place} "
        f"on {devices}; the first step compiles"
    )
