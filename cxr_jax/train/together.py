"""Members trained side by side in one program; each ends as if it had run alone.

`vmap` over states, keys, targets and settings: one compilation, one copy of the pictures
on the device. (On the CPU, where convolutions of several kernels at once are slow, those
alone are a loop: `models.convolution`.) Every member has a workdir of its own, with all
that a run leaves, and may be continued or evaluated alone.
"""

from __future__ import annotations

import json
import pathlib
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import experiment, rng
from cxr_jax.data import cache, roles
from cxr_jax.devices import processes, sharding
from cxr_jax.runs import provenance
from cxr_jax.runs.workdir import claimed, keep_config
from cxr_jax.runs.writer import say
from cxr_jax.train import members, stepper
from cxr_jax.train.final_evaluation import finish
from cxr_jax.train.loop import announce, build, report
from cxr_jax.train.session import Run
from cxr_jax.train.signals import StopRequest, listening
from tfds_builders.common import files
from tfds_builders.common.errors import InputError


class Pictures(NamedTuple):
    """The training pictures of all members: row `rows[i]` of the dataset at [i].

    pixels: {'image', 'mask': [N, size, size, 1]}.
    """

    rows: np.ndarray
    pixels: dict[str, np.ndarray]


def train(config: ConfigDict, folder: pathlib.Path, text: str) -> int:
    """Trains the members, or goes on, and evaluates each on test once at the end.

    Args:
      config: locked, what the members share.
      folder: gets a workdir for each.
      text: of `--members`, see `members.read`.

    Returns:
      The exit code, as `train.train`.
    """
    overrides = members.read(text, config)
    configs = members.configs(config, overrides)
    with ExitStack() as held:
        for name, member in configs.items():
            held.enter_context(claimed(folder / name, member))
            if processes.is_first():
                note = json.dumps(overrides[name], indent=2) + "\n"
                files.write_text(folder / name / "overrides.json", note)
        left = [
            name for name in configs if not (folder / name / "results.json").exists()
        ]
        if len(left) < len(configs):
            say(f"{len(configs) - len(left)} of {len(configs)} members are finished")
        if not left:
            _report(configs, folder)
            return 0
        runs, pictures = _open({name: configs[name] for name in left}, folder)
        with listening() as stop, ExitStack() as open_runs:
            for run in runs:
                open_runs.enter_context(closing(run))
            ended = fit(runs, pictures, stop)
        processes.wait("checkpoints")  # which all are about to read
        if not ended:
            return stop.exit_code
        for run in runs:
            say(f"\n{run.workdir.name}")
            finish(run.exp, run.splits, run.workdir, run.memory["best"])
        _report(configs, folder)
    return 0


def _report(configs: dict[str, ConfigDict], folder: pathlib.Path) -> None:
    """Of all members at the end, those that a kill kept from it among them."""
    for name, config in configs.items():
        report(config, folder / name)


def _open(
    configs: dict[str, ConfigDict], folder: pathlib.Path
) -> tuple[list[Run], Pictures]:
    """The runs, which share one model and one decoded copy of the pictures."""
    first = next(iter(configs.values()))
    opened = {
        fold: roles.open_splits(config.data, folder)
        for fold, config in {c.data.fold: c for c in configs.values()}.items()
    }
    splits = opened[first.data.fold]
    exp = build(first, splits)
    announce(exp, splits, "device")
    say(f"       {len(configs)} members, which differ in {members.common(configs)}")
    opened, pictures = _hold(opened, first.data)
    runs = []
    for name, config in configs.items():
        splits, workdir = opened[config.data.fold], folder / name
        if processes.is_first():
            provenance.save(workdir / "provenance.json", splits.description)
            keep_config(workdir, config)
        alike = experiment.variant(exp, config, train_examples=splits.train.size)
        # One of them is enough to tell how far they are.
        runs.append(Run(alike, splits, workdir, label=name, is_quiet=bool(runs)))
    return runs, pictures


def _hold(opened: dict[int, roles.Splits], config: ConfigDict):
    """-> (splits with the pictures of val, the training pictures of all of them)."""
    some = next(iter(opened.values()))
    if cache.residency(some, config) != "device":
        raise InputError(
            "--members",
            "need the training pictures on the device, where there is no room for them",
            "use a smaller config.data.size, or run them one by one",
        )
    if len(opened) == 1:
        held = cache.hold(some, config)
        pictures = Pictures(some.train.rows, held.train.pixels)
        return dict.fromkeys(opened, held._replace(train=some.train)), pictures
    # Folds are parts of one whole: every picture is decoded once, and found by its row.
    parts = [part for s in opened.values() for part in (s.train, s.val)]
    rows = np.unique(np.concatenate([part.rows for part in parts]))
    whole = some.train._replace(split="all", rows=rows)
    pixels = cache.decoded(whole, config.size, config.square)

    def held(val):
        places = np.searchsorted(rows, val.rows)
        return val._replace(pixels={name: p[places] for name, p in pixels.items()})

    opened = {
        fold: splits._replace(val=held(splits.val)) for fold, splits in opened.items()
    }
    return opened, Pictures(rows, pixels)


def fit(runs: list[Run], pictures: Pictures, stop: StopRequest) -> bool:
    """The loop of `train.fit` over all members; -> has it come to its end?"""
    states, step = begin(runs)
    advance = make_advance(runs, pictures)
    pick = jax.jit(lambda states, k: jax.tree.map(lambda leaf: leaf[k], states))
    going = [k for k, run in enumerate(runs) if not run.is_over(step)]
    asked, pace = False, stepper.Pace(stepper.STEPS)
    while going:
        improved = [runs[k].evaluate(step, pick(states, k)) for k in going]
        asked = processes.anywhere(stop.signal is not None)
        over = [runs[k].is_over(step) for k in going]
        due = [runs[k].is_due_to_save(step) for k in going]
        # All or none, so that all can go on from the same step.
        if asked or any(improved + over + due):
            for k in going:
                runs[k].save(step, pick(states, k))
        going = [k for k in going if not runs[k].is_over(step)]
        if asked or not going:
            break
        end = min(step + pace.steps, *(runs[k].next_stop(step) for k in going))
        rows = [run.settings(step, end) for run in runs]
        states, metrics = advance(states, step, rows, going)
        for k in going:
            runs[k].note(end, {n: v[:, k] for n, v in metrics.items()}, rows[k])
        pace.sent(end - step)
        step = end
    if asked:
        say(f"{stop.name}: step {step} is saved; the same command goes on")
    return not asked


def begin(runs: list[Run]) -> tuple[Any, int]:
    """The members' states, stacked, and the step that all of them go on from.

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
    mesh = runs[0].exp.mesh
    stack = jax.jit(
        lambda *states: jax.tree.map(lambda *leaves: jnp.stack(leaves), *states),
        out_shardings=sharding.replicated(mesh),
    )
    return stack(*states), step


def make_advance(runs: list[Run], pictures: Pictures):
    """-> advance(states, first, [settings of each], going) -> (states, metrics).

    Metrics are [n, K, ...]. Members that are not `going` stay as they are.
    """
    exp = runs[0].exp
    positions = [np.searchsorted(pictures.rows, run.splits.train.rows) for run in runs]
    data = dict(pictures.pixels)
    for name in runs[0].targets:
        rows = [
            _spread(run.targets[name], where, len(pictures.rows))
            for run, where in zip(runs, positions, strict=True)
        ]
        data[name] = np.stack(rows)
    seeds = [run.exp.config.seed for run in runs]
    roots = sharding.compute(lambda: jnp.stack([*map(rng.root, seeds)]), exp.mesh)
    data = sharding.replicate(data, exp.mesh)
    one = stepper.gathering(exp.train_step, exp.mesh)

    def step(state, data, index, root, now):
        settings, goes = now
        new, metrics = one(state, data, index, root, settings)
        return jax.tree.map(lambda n, o: jnp.where(goes, n, o), new, state), metrics

    shared = {name: None if name in pictures.pixels else 0 for name in data}
    side_by_side = jax.vmap(step, in_axes=(0, shared, 0, 0, 0))
    many = stepper.compiled(stepper.make_many(side_by_side), exp.mesh)

    def advance(states, first, settings, going):
        count = max(len(each.lr) for each in settings)
        index = [
            [
                where[run.order[first + i]]
                for run, where in zip(runs, positions, strict=True)
            ]
            for i in range(count)
        ]
        goes = np.zeros((count, len(runs)), bool)
        goes[:, going] = True
        now = (jax.tree.map(lambda *each: _columns(each, count), *settings), goes)
        states, metrics = many(
            states,
            data,
            stepper.padded(np.array(index, np.int32)),
            roots,
            jax.tree.map(stepper.padded, now),
            count,
        )
        return states, jax.tree.map(lambda values: values[:count], metrics)

    return advance


def _spread(targets: np.ndarray, where: np.ndarray, size: int) -> np.ndarray:
    """Targets of a member's examples at the places of their pictures."""
    spread = np.zeros((size, *targets.shape[1:]), targets.dtype)
    spread[where] = targets
    return spread


def _columns(rows: tuple[np.ndarray, ...], count: int) -> np.ndarray:
    """[n] of each member, n = 0 of one that is over, -> [count, K]."""
    return np.stack([np.resize(np.append(row, 0), count) for row in rows], axis=1)
