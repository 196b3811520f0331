"""External validation: every run tested on every set at hand, without what it knows.

Images of a set that are copies of what a run was trained or selected on are left out
before it is tested there; thresholds stay those of its own val split.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from cxr_jax.devices.terminal import say
from cxr_jax.evaluation.external import cells as cells_lib
from cxr_jax.evaluation.external import sets as sets_lib
from cxr_jax.evaluation.external import summary
from cxr_jax.evaluation.external.cells import Cell
from cxr_jax.evaluation.external.sets import Library, Row, Set
from cxr_jax.runs import alike, provenance, results, text_table
from cxr_jax.runs import predictions as stored_lib
from cxr_jax.runs import restore as trained_lib
from cxr_jax.runs.predictions import Run
from cxr_jax.tasks import Task, make_task
from cxr_jax.tasks.classify import parse_merge

Tasks = dict[tuple[str, str], Task]  # by run and set


def matrix(
    config: ConfigDict | None,
    folders: Sequence[str],
    workdir: pathlib.Path,
    eval_on: str = ":test",
) -> int:
    """Tests runs on the test sets of all of them, and on further ones.

    Args:
      config: None, or one whose `task.settings.merge` says which classes the labels of a
        further set stand for.
      folders: of `--runs`, see `stored.find`; one run will do.
      workdir: `matrix.json` is written there.
      eval_on: further sets, 'covidgr,brixia:test'; ':test' is none.

    Returns:
      The exit code.

    Raises:
      InputError: runs of different tasks or classes, a set that is not there, or
        labels that no `task.settings.merge` maps to a class.
    """
    runs = stored_lib.find(folders, least=1)
    check(runs)
    rows, sets, described = sets_lib.open_all(runs, eval_on)
    tasks = _tasks(runs, sets, "" if config is None else config.task.settings.merge)
    library = sets_lib.read(sets, rows)
    found = {str(row.run.workdir): _of_run(row, sets, library, tasks) for row in rows}
    figure = stored_lib.task_of(runs[0]).main
    own = {str(row.run.workdir): row.own for row in rows}
    lines = summary.verdicts(figure, own, found)
    say("\n".join(summary.tables(figure, own, sets, found)))
    say("\n".join(["", "In words", *map(text_table.wrapped, lines.values())]))
    content = {
        "figure": figure,
        **_to_json(figure, own, sets, found),
        "provenance": provenance.collect(described),
    }
    path = workdir / "matrix.json"
    results.save(path, content)
    say(f"\nwritten: {path}")
    return 0


def check(runs: Sequence[Run]) -> None:
    """Refuses runs whose figures cannot stand in one table."""
    alike.check(
        {
            str(run.workdir): {
                "task": run.config.task.name,
                "classes": stored_lib.task_of(run).probabilities.classes,
            }
            for run in runs
        },
        "test runs of one task with one list of classes; to train such a run, set "
        "--config.task.settings.classes, and --config.task.settings.merge to what "
        "labels stand for",
    )


def task_for(run: Run, dataset: str, runs: Sequence[Run], merge: str = "") -> Task:
    """The task of a run, with what the labels of a dataset stand for.

    Args:
      run: whose classes and own `task.settings.merge` count first.
      dataset: 'covidgr'.
      runs: those of them that were trained on it know its labels too.
      merge: what is known besides.
    """
    task = run.config.task
    if task.name != "classify":
        return make_task(task)
    there = [r for r in runs if r.config.data.dataset.split("/")[0] == dataset]
    known: dict[str, str] = {}
    for text in (
        task.settings.merge,
        *(each.config.task.settings.merge for each in there),
        merge,
    ):
        known = parse_merge(text) | known
    task = task.copy_and_resolve_references().unlock()
    task.settings.merge = ",".join(
        f"{label}={stands}" for label, stands in known.items()
    )
    return make_task(task.lock())


def _tasks(runs: Sequence[Run], sets: Sequence[Set], merge: str) -> Tasks:
    """All of them, each tried on the labels before any picture is read."""
    tasks = {}
    for run in runs:
        for each in sets:
            task = task_for(run, each.split.dataset, runs, merge)
            task.targets(each.split)
            tasks[str(run.workdir), each.name] = task
    return tasks


def _of_run(
    row: Row, sets: Sequence[Set], library: Library, tasks: Tasks
) -> dict[str, Cell]:
    """{set: Cell} of a run; its own is judged first, with which the others are compared."""
    run = row.run
    own = next(each for each in sets if each.name == row.own)
    model = trained_lib.load(run.workdir, run.config, own.split)
    found: dict[str, Cell] = {}
    for each in sorted(sets, key=lambda each: each is not own):
        out = sets_lib.left_out(row, each, library)
        exp = model.exp._replace(task=tasks[str(run.workdir), each.name])
        cell = cells_lib.judge(model._replace(exp=exp), each, out, each is own)
        if each is not own:
            internal = found[row.own]
            cell = cells_lib.compared(cell, each, internal, own, library)
        found[each.name] = cell
    return {each.name: found[each.name] for each in sets}


def _to_json(figure, own, sets, found) -> dict[str, Any]:
    return {
        "synthetic": any(each.split.synthetic for each in sets),
        "sets": {each.name: results.size(each.split) for each in sets},
        "runs": {
            run: {
                "own": own[run],
                "sets": {
                    each.name: cells_lib.to_json(cells[each.name], each)
                    for each in sets
                },
                "held_on": summary.held(figure, own[run], cells),
            }
            for run, cells in found.items()
        },
    }
