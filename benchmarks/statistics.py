"""All metrics of a test split with their intervals, against a scikit-learn loop.

    python -m benchmarks.statistics [--cases=5000] [--patients=2500] [--resamples=2000]

Ours are all metrics that an evaluation writes. The loop is what one writes by hand:
draw patients, take their images, call scikit-learn or scipy for every metric they have,
and repeat. A few rounds of it are timed (--loop) and extrapolated to all resamples. The
last table has every metric in every group of six attributes.
"""

from __future__ import annotations

import statistics
import time
import types
import warnings
from typing import NamedTuple

import numpy as np
from absl import flags

from benchmarks import loop, machine
from configs import common
from cxr_jax import metrics, rng
from cxr_jax.evaluation import subgroups
from cxr_jax.stats import bootstrap, calibration
from cxr_jax.tasks import Task, make_task
from tfds_builders.common import command
from tfds_builders.common.zones import LEVELS, ZONES

CLASSES = {"2 classes": ("N", "P"), "4 classes": ("A", "B", "C", "D"), "brixia": ()}
ATTRIBUTES = (2, 3, 3, 4, 5)  # number of values of each; age is added


class Predicted(NamedTuple):
    """A synthetic test split and the predictions of a model.

    Attributes:
      task: 'brixia' or 'classify'.
      split: with the columns `patient_id` and those of ATTRIBUTES.
      targets, predictions, decision: as in an evaluation.
    """

    task: Task
    split: types.SimpleNamespace
    targets: dict[str, np.ndarray]
    predictions: dict[str, np.ndarray]
    decision: dict


class Took(NamedTuple):
    """Seconds of ours, each time, and of the loop, extrapolated; numbers of metrics."""

    ours: list[float]
    loop: float
    metrics: int
    in_loop: int


def draw(name: str, images: int, patients: int, seed: int = 0) -> Predicted:
    """Draws one of CLASSES; patients have equal numbers of images, give or take one."""
    generator = rng.generator(seed, f"statistics {name}")
    config, classes = common.get_config(), CLASSES[name]
    settings = {"classes": classes} if classes else {}
    kind = "classify" if classes else "brixia"
    common.use_task(config, kind, "cross_entropy", **settings)
    task = make_task(config.task)
    groups, levels = ((len(ZONES),), LEVELS) if not classes else ((), len(classes))

    def said():
        label = generator.integers(0, levels, (images, *groups))
        odds = generator.normal(size=(images, *groups, levels))
        odds += 1.5 * (label[..., None] == np.arange(levels))
        probs = np.exp(odds) / np.exp(odds).sum(axis=-1, keepdims=True)
        loss = calibration.log_losses(probs, label).reshape(images, -1).mean(axis=1)
        expected = probs @ np.arange(levels)
        key = "label" if classes else "scores"
        return {key: label}, {"probs": probs, "expected": expected, "loss": loss}

    decision = task.decide(*said(), np.arange(images) % patients)
    targets, predictions = said()
    decision |= task.constant(targets)
    table = {"patient_id": np.arange(images) % patients}
    for k, values in enumerate(ATTRIBUTES):
        table[f"column_{k}"] = [f"v{v}" for v in generator.integers(0, values, images)]
    table["age"] = generator.uniform(20, 90, images)
    split = types.SimpleNamespace(table=table, label_names={})
    return Predicted(task, split, targets, predictions, decision)


def ours(drawn: Predicted, resamples: int) -> dict[str, metrics.Estimate]:
    """Computes what an evaluation does."""
    return drawn.task.metrics(
        drawn.split,
        drawn.targets,
        drawn.predictions,
        drawn.decision,
        bootstrap.draw(drawn.split.table["patient_id"], resamples),
    )


def measure(
    name: str, cases: int, patients: int, resamples: int, rounds: int, repeats: int
) -> Took:
    """Times both on the same predictions; the loop between two of ours."""
    drawn = draw(name, cases, patients)
    their = loop.functions(*drawn[2:], CLASSES[name])
    images = [
        np.flatnonzero(drawn.split.table["patient_id"] == p) for p in range(patients)
    ]
    generator = rng.generator(0, "loop")
    times, looped = [], 0.0
    for repeat in range(repeats):
        times.append(_seconds(lambda: ours(drawn, resamples)))
        if repeat:
            continue
        start = time.perf_counter()
        for _ in range(rounds):
            chosen = generator.integers(0, patients, patients)
            rows = np.concatenate([images[p] for p in chosen])
            for each in their.values():
                each(rows)
        looped = (time.perf_counter() - start) * resamples / rounds
    return Took(times, looped, len(ours(drawn, 0)), len(their))


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def grouped(name: str, cases: int, patients: int, resamples: int, repeats: int):
    """Returns (groups, seconds) of every compared metric in every group."""
    drawn = draw(name, cases, patients)
    (labels,) = drawn.targets.values()
    labels = labels.reshape(cases, -1)
    probs = drawn.predictions["probs"].reshape(*labels.shape, -1)
    table = drawn.split.table
    counts = bootstrap.weights(table["patient_id"], resamples)

    def make(members):
        statistics_of = drawn.task.probabilities.statistics
        return statistics_of(labels[members], probs[members], drawn.decision)

    def work():
        rows = subgroups.of_metrics(table, {}, make, counts, (drawn.task.main,))
        if name == "brixia":
            expected = drawn.predictions["expected"]
            subgroups.limits(table, {}, labels, expected, counts)
        return rows

    return len(work()), [_seconds(work) for _ in range(repeats)]


def run(cases: int, patients: int, resamples: int, rounds: int, repeats: int) -> str:
    """Returns both tables."""
    what = f"{cases:,} cases of {patients:,} patients, {resamples:,} resamples; ours: "
    what += f"n = {repeats}; the loop: {rounds} rounds, times {resamples / rounds:g}"
    head = f"{'':12}{'metrics':>9}{'seconds':>9}{'range':>12}{'in the loop':>13}"
    head += f"{'seconds':>9}{'ratio':>7}"
    lines = [what, head]
    for name in CLASSES:
        took = measure(name, cases, patients, resamples, rounds, repeats)
        middle = statistics.median(took.ours)
        lines.append(
            f"{name:12}{took.metrics:9}{middle:9.2f}{_range(took.ours):>12}"
            f"{took.in_loop:13}{took.loop:9.0f}{took.loop / middle:7.0f}"
        )
    lines += ["", f"{'by group':12}{'groups':>9}{'seconds':>9}{'range':>12}"]
    for name in CLASSES:
        groups, times = grouped(name, cases, patients, resamples, repeats)
        middle = statistics.median(times)
        lines.append(f"{name:12}{groups:9}{middle:9.2f}{_range(times):>12}")
    return "\n".join(lines)


def _range(times: list[float]) -> str:
    return f"{min(times):.2f}-{max(times):.2f}"


def main(argv: list[str]) -> None:
    values = flags.FLAGS
    warnings.simplefilter(
        "ignore"
    )  # from scikit-learn, about classes that are never predicted
    print(machine.describe("numpy", "scipy", "scikit-learn"), flush=True)
    settings = values.cases, values.patients, values.resamples
    print(run(*settings, values.loop, values.repeats))


if __name__ == "__main__":
    flags.DEFINE_integer("cases", 5000, "images")
    flags.DEFINE_integer("patients", 2500, "number of patients")
    flags.DEFINE_integer("resamples", 2000, "resamples of the bootstrap")
    flags.DEFINE_integer("loop", 50, "rounds of the loop that are timed")
    flags.DEFINE_integer("repeats", 3, "timings of ours")
    command.run(main)
