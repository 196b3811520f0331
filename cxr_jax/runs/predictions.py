"""What finished runs predicted of the same images, read back from their files."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax.data.split import Split
from cxr_jax.runs import alike, forms, provenance, results_file
from cxr_jax.tasks import Task, make_task
from tfds_builders.common import files, places
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import RESTORE
from tfds_builders.common.text import uncell

_MISSING = "restore it, or train WORKDIR again"

# Probabilities are float32: a row sums to 1 within this.
_ROUNDING = 1e-3


class Run(NamedTuple):
    """A finished run.

    Attributes:
      workdir: of the run.
      config: its own.
      results: of its results.json.
      dataset: of its provenance.json; `roles` has size and hash of each split.
    """

    workdir: pathlib.Path
    config: ConfigDict
    results: dict[str, Any]
    dataset: dict[str, Any]


class Stored(NamedTuple):
    """A split and what M runs predicted of it.

    Attributes:
      split: with N examples.
      targets: {name: [N, ...]} of the task.
      labels: [N, G], the same: G questions per example, the 6 zones or one.
      probs: [M, N, G, K] of K levels, in the order of the split.
    """

    split: Split
    targets: dict[str, np.ndarray]
    labels: np.ndarray
    probs: np.ndarray


class Read(NamedTuple):
    """A file of predictions by itself: nothing of the dataset is needed.

    Attributes:
      example_ids, patient_ids: [N].
      labels: [N, G] whole.
      probs: [N, G, K].
    """

    example_ids: list[str]
    patient_ids: list[str]
    labels: np.ndarray
    probs: np.ndarray


def find(folders: Sequence[str], least: int = 2) -> list[Run]:
    """The runs of `--runs`: workdirs, or folders of workdirs, as a sweep leaves them.

    Args:
      folders: of the flag.
      least: how many there have to be, 1 or 2.

    Raises:
      InputError: one that is not finished or is named twice, or too few.
    """
    paths: list[pathlib.Path] = []
    for text in places.rejoined(
        list(folders), lambda text: places.expanded(text).is_dir()
    ):
        folder = places.expanded(text)
        inside = sorted(path.parent for path in folder.glob("*/config.json"))
        paths += [folder] if (folder / "config.json").exists() or not inside else inside
    different = {path.resolve() for path in paths}
    if len(different) < max(len(paths), least):
        raise InputError(
            "--runs",
            f"names {len(different)} different run(s), {len(paths)} in all",
            f"give {('one', 'two')[least - 1]} or more, each once: --runs=runs/a,runs/b, "
            "or the folder of a sweep",
        )
    return [read(path) for path in paths]


def read(workdir: pathlib.Path) -> Run:
    """One finished run.

    Raises:
      InputError: there is none, it is not finished, or a file of it is broken.
    """
    if not (workdir / "results.json").exists():
        config_lib.from_json(workdir / "config.json")  # is there a run at all?
        raise InputError(
            workdir / "results.json",
            "there is no such file: the run is not finished",
            "run the command that started it again",
        )
    content = results_file.read(workdir / "results.json", forms.FINISHED)
    config = config_lib.from_json(workdir / "config.json")
    came_from = provenance.read(workdir / "provenance.json")
    return Run(workdir, config, content, came_from["dataset"])


def task_of(run: Run) -> Task:
    """The task of a run whose predictions have probabilities.

    Raises:
      InputError: they have none.
    """
    task = make_task(run.config.task)
    if task.probabilities is None:
        raise InputError(
            run.workdir,
            f"its task is {task.name}, which predicts no probabilities of classes or "
            "scores",
            "give runs of the tasks brixia or classify",
        )
    return task


def check_alike(runs: list[Run]) -> None:
    """Refuses runs that were not tested on the same examples, or not the same way."""
    for run in runs:
        task_of(run)
    alike.check(
        {str(run.workdir): _shared(run) for run in runs},
        "give runs of one dataset, split, task and list of classes",
    )


def check_data(runs: list[Run], description: dict[str, Any]) -> None:
    """Refuses data that are no longer those of the runs."""
    changed = [
        line
        for role in ("val", "test")
        for line in provenance.role_differences(
            role, runs[0].dataset["roles"][role], description["roles"][role]
        )
    ]
    if changed:
        raise InputError(
            runs[0].workdir,
            "was tested on other data:\n  " + "\n  ".join(changed),
            "restore the original data (config.data.data_dir says where)",
        )


def _shared(run: Run) -> dict[str, Any]:
    task, roles = run.config.task, run.dataset["roles"]
    return {
        "dataset": run.config.data.dataset.split("/")[0],
        "task": task.name,
        "classes": tuple(task.settings.get("classes", ())),
        "val split": roles["val"],
        "test split": roles["test"],
    }


def gather(
    task: Task,
    runs: list[Run],
    split: Split,
    name: str,
    missing: str = _MISSING,
) -> Stored:
    """What all runs predicted of a split.

    Args:
      task: of all of them.
      runs: of `find`, alike.
      split: the examples and their labels.
      name: of the predictions file.
      missing: what to do where a run has none; WORKDIR stands for its own.

    Raises:
      InputError: a file that is not there or is broken, other examples or labels than
        those of the split, or numbers that are not probabilities.
    """
    targets = task.targets(split)
    (labels,) = targets.values()
    flat = labels.reshape(split.size, -1)
    shape = (split.size, flat.shape[1], task.levels)
    blank = {"probs": np.zeros((*labels.shape, task.levels)), "expected": flat}
    expected = {
        column: [str(value) for value in values]
        for column, values in task.columns(targets, blank).items()
    }
    probs = []
    for run in runs:
        path = run.workdir / "predictions" / f"{name}.csv"
        rows = _rows(path, missing.replace("WORKDIR", str(run.workdir)))
        found = _columns(path, rows, split, expected).reshape(shape)
        if np.abs(found.sum(axis=-1) - 1).max() > _ROUNDING:
            raise InputError(path, "its probabilities do not sum to 1", RESTORE)
        probs.append(found)
    return Stored(split, targets, flat, np.stack(probs))


def read_alone(task: Task, path: pathlib.Path) -> Read:
    """The predictions and labels of a file, as they were written.

    Raises:
      InputError: there is no such file, or it is not of this task.
    """
    known = task.probabilities
    rows = _rows(path, "run the sweep again, or restore the file")
    names = [
        f"prob_{question}{one}" for question in known.questions for one in known.classes
    ]
    targets = [f"target_{each}" if each else "target" for each in known.questions]
    ordered = list(rows.values())
    absent = [
        c for c in ("patient_id", *targets, *names) if c not in (*ordered[:1], {})[0]
    ]
    if absent:
        raise InputError(path, f"has no column {absent[0]}, or no row", RESTORE)
    index = {name: k for k, name in enumerate(known.classes)}
    wrong = {row[c] for row in ordered for c in targets} - set(index)
    if wrong:
        raise InputError(
            path,
            f"has the label {min(wrong)!r}, which is not a class of the run",
            RESTORE,
        )
    shape = (len(ordered), len(targets), len(index))
    return Read(
        list(rows),
        [uncell(row["patient_id"]) for row in ordered],
        np.array([[index[row[c]] for c in targets] for row in ordered]),
        _numbers(path, ordered, names).reshape(shape),
    )


def _rows(path: pathlib.Path, missing: str) -> dict[str, dict[str, str]]:
    text = files.read_text(path, missing=missing, damaged=RESTORE)
    try:
        table = csv.DictReader(io.StringIO(text))
        return {uncell(row["example_id"]): row for row in table}
    except (KeyError, ValueError, csv.Error) as error:
        raise InputError(path, f"cannot be read ({error!r})", RESTORE) from None


def _columns(
    path: pathlib.Path,
    rows: dict[str, dict[str, str]],
    split: Split,
    expected: dict[str, list[str]],
) -> np.ndarray:
    """[N, columns] float64 in the order of the split; targets are compared as text."""
    ids = split.table["example_id"]
    other = set(ids) ^ set(rows)
    if other:
        raise InputError(
            path,
            f"is of other examples than {split.dataset}:{split.split}: {len(other)} are "
            f"in one of them only, {min(other)} among them",
            "give runs that were tested on the same examples",
        )
    ordered = [rows[example] for example in ids]
    absent = [column for column in expected if column not in ordered[0]]
    if absent:
        raise InputError(
            path,
            f"has no column {absent[0]} (it has: {', '.join(ordered[0])})",
            "give runs of the same task and classes",
        )
    for column, values in expected.items():
        if column.startswith("target") and [r[column] for r in ordered] != values:
            raise InputError(
                path,
                f"its {column} is not that of {split.dataset}:{split.split}",
                "evaluate the run again with today's labels (config.task.settings.merge)",
            )
    return _numbers(path, ordered, [c for c in expected if c.startswith("prob_")])


def _numbers(
    path: pathlib.Path, ordered: list[dict[str, str]], columns: list[str]
) -> np.ndarray:
    try:
        found = np.array([[row[c] for c in columns] for row in ordered], np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(
            path, f"holds something other than numbers ({error})", RESTORE
        ) from None
    if not np.isfinite(found).all() or (found < 0).any() or (found > 1).any():
        raise InputError(
            path,
            "holds probabilities that are not finite or not in 0..1",
            "the model has diverged: leave the run out",
        )
    return found


def home(run: Run) -> pathlib.Path:
    """Where the phantom of a run lies: members share that of their folder."""
    name = f"phantom_{run.config.data.phantom}"
    in_parent = (run.workdir.parent / name).is_dir()
    is_own = (run.workdir / name).is_dir() or not in_parent
    return run.workdir if is_own else run.workdir.parent
