"""The training loop: one training, or several side by side in one program."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import jax
from ml_collections import ConfigDict

from cxr_jax import experiment, trees
from cxr_jax.data import cache, roles
from cxr_jax.devices import known_answers, processes
from cxr_jax.devices.profiling import recorded
from cxr_jax.devices.terminal import say
from cxr_jax.runs import examples, provenance, results
from cxr_jax.runs.workdir import claimed, keep_config
from cxr_jax.train import host_batches, stepper
from cxr_jax.train import members as members_lib
from cxr_jax.train.final_evaluation import finish
from cxr_jax.train.members import Member
from cxr_jax.train.session import Run, build
from cxr_jax.train.signals import StopRequest, listening
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

# Steps between two questions whether one of several processes was told to stop.
_ASK = 16


def train(
    config: ConfigDict,
    workdir: pathlib.Path,
    *,
    members: str = "",
    profile: int = 0,
    allow: Sequence[str] = (),
    test: bool = True,
    origin: dict[str, Any] | None = None,
    report: Callable[[pathlib.Path], None] | None = None,
) -> int:
    """Trains, or resumes a training, and evaluates on test once at the end.

    Args:
      config: locked, of `configs/`.
      workdir: of this run; docs/runs.md says what it holds afterwards. With `members`
        it gets a folder for each of them, which is the workdir of a run.
      members: of `--members`, see `members.read`; empty for a single run.
      profile: calls of the step that are traced, after the one that compiles.
      allow: keys of the config that may differ from those the run began with.
      test: evaluate on test at the end, into results.json; else on val alone, into
        val.json, and the run is not finished.
      origin: where the config comes from, {'file', 'overrides'}, for the record.
      report: writes the report of a finished workdir, unless there is one. Called
        where `config.report` is set, also of runs that finished before: a kill may
        have come between.

    Returns:
      The exit code: 0 when finished, or saved after SIGTERM; 130 after Ctrl-C. The
      final evaluation may be killed: the same command repeats it.
    """
    everyone = members_lib.make(config, members, workdir, origin)
    with ExitStack() as held:
        claims = [
            held.enter_context(claimed(each.workdir, each.config, allow=allow))
            for each in everyone
        ]
        left = [
            each._replace(changes=changes)
            for each, changes in zip(everyone, claims, strict=True)
            if not (each.workdir / "results.json").exists()
            and (test or not (each.workdir / "val.json").exists())
        ]
        if members and len(left) < len(everyone):
            say(f"{len(everyone) - len(left)} of {len(everyone)} members are finished")
        if left:
            known_answers.require()
            runs, device = open_runs(left, workdir)
            with listening(held=False) as stop:
                stopped_at = fit(runs, device, stop, workdir / "profile", profile)
            if stopped_at is not None:
                saved = f"step {stopped_at} is saved" if stopped_at else "nothing yet"
                say(f"{stop.name}: {saved}; run the same command again to resume")
                return stop.exit_code
            for run in runs:
                finish(run, test=test)
        else:
            for each in everyone:
                results.show_finished(each.workdir)
        for each in everyone:
            if report and each.config.report and test:
                report(each.workdir)
    return 0


def open_runs(
    members: list[Member], folder: pathlib.Path
) -> tuple[list[Run], stepper.Stepper]:
    """The runs, which share one model and one copy of the pictures, and their steps.

    Args:
      members: those that are not finished.
      folder: of the phantom, where one is trained on.
    """
    first, several = members[0].config, bool(members[0].name)
    opened = members_lib.open_folds(members, folder)
    splits, pictures = opened[first.data.fold], None
    exp = build(first, splits)
    place = cache.residency(splits, first.data)
    if several and place != "device":
        raise InputError(
            "--members",
            "need the training pictures on the device, where there is no room for them",
            "use a smaller config.data.size, or run them one by one",
        )
    announce(exp, splits, place)
    if several:
        differ = members_lib.differences(members)
        say(f"       {len(members)} members, which differ in {differ}")
    if place == "device":
        opened, pictures = members_lib.hold(opened, first.data)
    elif place == "host":
        opened = {first.data.fold: cache.hold(splits, first.data)}
    runs = []
    for member in members:
        splits = opened[member.config.data.fold]
        if processes.is_first():
            keep(member, splits)
        alike = experiment.variant(exp, member.config, train_examples=splits.train.size)
        # One of them is enough to tell how far they are.
        runs.append(
            Run(alike, splits, member.workdir, label=member.name, is_quiet=bool(runs))
        )
    if pictures is None:
        return runs, host_batches.from_host(*runs)
    return runs, stepper.on_device(runs, pictures)


def keep(member: Member, splits: roles.Splits) -> None:
    """Writes what a run began with into its workdir."""
    provenance.save(
        member.workdir / "provenance.json",
        splits.description,
        member.origin,
        member.changes,
    )
    examples.save(member.workdir, splits)
    keep_config(member.workdir, member.config)
    if member.name:
        note = json.dumps(member.overrides, indent=2) + "\n"
        files.write_text(member.workdir / "overrides.json", note)


def announce(exp: experiment.Experiment, splits: roles.Splits, place: str) -> None:
    """Says what is about to be done, on what."""
    config = exp.config
    say("data   " + "\n       ".join(results.describe(splits)))
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


def fit(
    runs: list[Run],
    device: stepper.Stepper,
    stop: StopRequest,
    traces: pathlib.Path,
    profile: int = 0,
) -> int | None:
    """Trains to the end; -> None, or the step that was saved when asked to stop.

    Args:
      runs: the host's side of each training.
      device: makes the steps of all of them.
      stop: asks to end early.
      traces: folder for those of `profile` calls.
    """
    with ExitStack() as written:
        for run in runs:
            written.enter_context(closing(run))
        stopped_at = _loop(runs, device, stop, traces, profile)
    processes.wait("checkpoints")  # which all are about to read
    if stopped_at is None and processes.anywhere(stop.signal is not None):
        return max(step for run in runs for step in run.steps)  # asked at the very end
    return stopped_at


def _loop(runs, device, stop, traces, profile) -> int | None:
    """Its order is law: evaluate, checkpoint, batches, steps, log later."""
    states, step = begin(runs)
    state = device.join(states)
    del states
    going = [k for k, run in enumerate(runs) if not run.is_over(step)]
    pace, ask = stepper.Pace(device.most), step
    if processes.count() > 1:
        stop.hold()  # the others would wait for this one
    traced = profile if processes.is_first() else 0
    with recorded(traces, step + 1, traced) as trace:
        while True:
            member = partial(device.member, state)
            due = [k for k in going if runs[k].is_due_to_evaluate(step)]
            improved = [runs[k].evaluate(step, member(k)) for k in due]
            over = [k for k in going if runs[k].is_over(step)]
            asked = False
            # Asking the other processes has all of them wait for the devices.
            if step >= ask or processes.count() == 1:
                asked, ask = processes.anywhere(stop.signal is not None), step + _ASK
            # All or none, so that all can resume from the same step.
            if (
                asked
                or over
                or any(improved)
                or any(runs[k].is_due_to_save(step) for k in going)
            ):
                for k in going:
                    runs[k].save(step, member(k))
            going = [k for k in going if k not in over]
            if asked:
                return step
            if not going:
                return None
            end = min(step + pace.steps, *(runs[k].next_stop(step) for k in going))
            settings = [run.settings(step, end) for run in runs]
            trace.before(step)
            state, metrics = device.advance(state, step, settings, going)
            stop.hold()
            trace.after(metrics)
            for k in going:
                runs[k].note(end, metrics[k], settings[k])
            pace.sent(end - step)
            step = end


def begin(runs: list[Run]) -> tuple[list[Any], int]:
    """The states, and the step from which all of them resume.

    A kill may have come when some were saved and others not: those go back a step.
    """
    states = [run.begin() for run in runs]
    going = [k for k, run in enumerate(runs) if not run.is_over(run.start)]
    step = min((runs[k].start for k in going), default=runs[0].start)
    for k in going:
        if runs[k].start > step:
            if step and step not in runs[k].steps:
                raise InputError(
                    runs[k].workdir,
                    f"has no checkpoint of step {step}, where another member stopped "
                    f"(it has: {runs[k].steps})",
                    "finish the members one by one: each is a run of its own",
                )
            states[k] = runs[k].begin(step)
    return states, step
