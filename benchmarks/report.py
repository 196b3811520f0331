"""Seconds and megabytes of a report of 5,000 test cases.

    python -m benchmarks.report [--cases=5000] [--repeats=3]

The cases are synthetic: labels, probabilities, sex, age, view, vendor, films of noise,
two images per patient. There is no checkpoint, so no maps are made (they do not depend
on the number of cases). Each part is timed by itself, then the whole.
"""

from __future__ import annotations

import pathlib
import statistics
import tempfile
import time
from functools import partial

import cv2
import numpy as np
from absl import flags

from benchmarks import machine
from cxr_jax import rng
from cxr_jax.data import roles
from cxr_jax.data.split import Split
from cxr_jax.evaluation.evaluators import Evaluation
from cxr_jax.report import cases as cases_lib
from cxr_jax.report import sections, write
from cxr_jax.report.material import Material
from cxr_jax.runs import provenance, results
from cxr_jax.stats import bootstrap
from cxr_jax.tasks import make_task
from tfds_builders.common import command
from tfds_builders.common.errors import InputError

RESAMPLES = 2000
MEGABYTE = 1e6


def material(task: str, cases: int, workdir: pathlib.Path) -> Material:
    """Returns what `material.read` would, for a run with `cases` test images."""
    from configs import brixia, covidgr

    config = (brixia if task == "brixia" else covidgr).get_config().lock()
    made = make_task(config.task)
    draw = rng.generator(0, "report")
    splits = roles.Splits(
        *(drawn_split(draw, task, n, role) for role, n in
          (("train", 200), ("val", 200), ("test", cases))),
        description={"name": f"{task}/drawn", "synthetic": True},
        metadata={},
    )  # fmt: skip
    found = {}
    decision = None
    for role in ("val", "test"):
        found[role] = judged(made, draw, getattr(splits, role), decision)
        decision = found[role].decision
    best = {
        "step": 1,
        "metric": f"val/{made.select}",
        "value": 0.0,
        "decision": decision,
    }
    content = {
        "metrics": results.to_json(
            {role: each.metrics for role, each in found.items()}
        ),
        "best_step": 1,
        "best": best,
        "sizes": {"parameters": 0}
        | {role: results.size(getattr(splits, role)) for role in roles.ROLES},
        "confusion": {
            "test": made.confusion(
                found["test"].targets, found["test"].predictions, decision
            )
        },
        "shared_patients": {},
        "dataset": f"{task}/drawn",
        "synthetic": True,
    }
    origin = provenance.collect(
        {
            "name": f"{task}/drawn",
            "roles": {role: {"sha256": "-"} for role in roles.ROLES},
        }
    )
    history = [{"step": 1, "train/loss": 1.0, f"val/{made.select}": 0.5}]
    labels = next(iter(found["test"].targets.values())).reshape(cases, -1)
    probs = found["test"].predictions["probs"].reshape(*labels.shape, -1)
    counts = bootstrap.weights(splits.test.table["patient_id"], RESAMPLES, 0)
    return Material(
        workdir, config, made, content, origin, history, {}, None, None, None, splits,
        labels, probs.astype(np.float64), counts,
    )  # fmt: skip


def drawn_split(draw: np.random.Generator, task: str, size: int, role: str) -> Split:
    """Two images per patient, with the columns of the groups."""
    film = draw.integers(0, 255, (512, 512), np.uint8)
    png = cv2.imencode(".png", film)[1].tobytes()

    def one_of(*values: str) -> list[str]:
        return [values[k] for k in draw.integers(0, len(values), size)]

    table = {
        "example_id": [f"{role}-{k}" for k in range(size)],
        "patient_id": [f"{role}-{k // 2}" for k in range(size)],
        "sex": one_of("F", "M"),
        "view": one_of("AP", "PA"),
        "manufacturer": one_of("A", "B", "C", "D"),
        "age": draw.integers(18, 95, size),
    }
    names = {}
    if task == "brixia":
        table["scores"] = draw.integers(0, 4, (size, 6))
    else:
        table["label"] = draw.integers(0, 2, size)
        names = {"label": ("N", "P")}
    return Split(
        task, role, lambda row: {"image": png}, np.arange(size), table, names,
        "patients", True,
    )  # fmt: skip


def judged(made, draw: np.random.Generator, split: Split, decision) -> Evaluation:
    """Probabilities near the truth, and all their metrics."""
    targets = made.targets(split)
    (labels,) = targets.values()
    logits = (
        draw.normal(size=(*labels.shape, made.levels)) + np.eye(made.levels)[labels]
    )
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    predictions = {
        "probs": probs.astype(np.float32),
        "expected": probs @ np.arange(made.levels),
        "loss": -np.log(probs.max(axis=-1)).reshape(split.size, -1).mean(axis=1),
    }
    decision = decision or made.decide(targets, predictions, split.table["patient_id"])
    found = made.metrics(
        split,
        targets,
        predictions,
        decision,
        bootstrap.draw(split.table["patient_id"], 50, 0),
    )
    return Evaluation(split, targets, predictions, decision, found)


def seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(argv[1], "an argument", "use flags only: see --help")
    cases, repeats = flags.FLAGS.cases, flags.FLAGS.repeats
    print(machine.describe("matplotlib", "numpy"), flush=True)
    print(f"{cases:,} test cases, {RESAMPLES:,} resamples, n={repeats}, median")
    print("| task | sections and figures, s | cases, s | whole report, s | page, MB |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for task in ("brixia", "classify"):
            found = material(task, cases, pathlib.Path(folder) / task)
            final = pathlib.Path(folder) / f"report_{task}"
            parts = (
                partial(sections.sections, found),
                partial(cases_lib.make, found),
                partial(write.render, found, final),
            )
            times = [
                statistics.median(seconds(run) for _ in range(repeats)) for run in parts
            ]
            size = (final / "report.html").stat().st_size / MEGABYTE
            cells = [f"{each:.1f}" for each in times]
            print(f"| {task} | {' | '.join(cells)} | {size:.2f} |", flush=True)


if __name__ == "__main__":
    flags.DEFINE_integer("cases", 5000, "Test images.")
    flags.DEFINE_integer("repeats", 3, "Timings.")
    command.run(main)
