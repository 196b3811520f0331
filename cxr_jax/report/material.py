"""Reads everything a report needs from a run, its audits and its evaluations."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from cxr_jax.audits import verdicts
from cxr_jax.audits.verdicts import Verdict
from cxr_jax.data import phantom, roles
from cxr_jax.runs import forms, provenance, results, results_file
from cxr_jax.runs import predictions as stored_lib
from cxr_jax.stats import bootstrap
from cxr_jax.tasks import Task, make_task
from tfds_builders import DATASETS
from tfds_builders.common import card as cards
from tfds_builders.common import files
from tfds_builders.common.card import Card
from tfds_builders.common.forms import check, read_lines


class Material(NamedTuple):
    """The files of a finished run; nothing is run again.

    Attributes:
      workdir: of the run.
      config: of the run.
      task: of the config.
      results, provenance: the content of results.json and provenance.json.
      history: the lines of metrics.jsonl, each with a 'step'.
      evaluations: {'covidgr-test': content} of evaluations/, which has external tests.
      audit, model_audit: the content of audit.json and model_audit.json, in the workdir
        or in its folder audit/; None if none was made.
      card: of the dataset; None if it is not one of ours.
      splits: train, val and test, with their columns, and the metadata of the dataset:
        'unit', and 'counts' of what was found and left out.
      labels, probs: of test, int [N, G] and float64 [N, G, K] of K levels: G is 6 zones
        or 1. None for a task without probabilities.
      counts: `bootstrap.weights` of test.
    """

    workdir: pathlib.Path
    config: ConfigDict
    task: Task
    results: dict[str, Any]
    provenance: dict[str, Any]
    history: list[dict[str, Any]]
    evaluations: dict[str, dict[str, Any]]
    audit: dict[str, Any] | None
    model_audit: dict[str, Any] | None
    card: Card | None
    splits: roles.Splits
    labels: np.ndarray | None
    probs: np.ndarray | None
    counts: np.ndarray

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the dataset."""
        return self.splits.metadata


def read(workdir: pathlib.Path) -> Material:
    """Reads a finished run.

    Raises:
      InputError: it is not finished, its data are gone, or one of its files is broken.
    """
    run = stored_lib.read(workdir)
    check(workdir / "results.json", run.results, forms.RESULTS)
    config = run.config
    task = make_task(config.task)
    splits = roles.open_splits(_data(config.data, stored_lib.home(run)), workdir)
    stored_lib.check_data([run], splits.description)
    labels = probs = None
    if task.probabilities is not None:
        name = f"{splits.test.dataset}-test"
        found = stored_lib.gather(task, [run], splits.test, name, stored_lib.RESTORE)
        labels, probs = found.labels, found.probs[0]
    patients = splits.test.table["patient_id"]
    dataset = splits.test.dataset
    return Material(
        workdir=workdir,
        config=config,
        task=task,
        results=run.results,
        provenance=provenance.read(workdir / "provenance.json"),
        history=read_lines(workdir / "metrics.jsonl"),
        evaluations={
            path.stem: results_file.read(path, forms.EVALUATION)
            for path in sorted((workdir / "evaluations").glob("*.json"))
        },
        audit=_audit(workdir, "audit.json", partial(_is_of_data, splits)),
        model_audit=_audit(workdir, "model_audit.json", partial(_is_of_test, splits)),
        card=cards.load(dataset) if dataset in DATASETS else None,
        splits=splits,
        labels=labels,
        probs=probs,
        counts=bootstrap.weights(patients, config.resamples, config.seed),
    )


def data_verdicts(material: Material) -> list[Verdict]:
    """Returns the verdicts of the data audit; [] without one."""
    found = material.audit
    return [] if found is None else verdicts.from_json(found, "audit.json")


def model_verdicts(material: Material) -> list[Verdict]:
    """Returns the verdicts of the model audit; [] without one."""
    found = material.model_audit
    return [] if found is None else verdicts.from_json(found, "model_audit.json")


def elsewhere(material: Material) -> dict[str, dict]:
    """Returns the evaluations on datasets other than the training one."""
    own = material.splits.test.dataset
    return {
        name: content
        for name, content in material.evaluations.items()
        # Earlier versions tell by the name alone.
        if content.get("external", content["dataset"].split("/")[0] != own)
    }


def outcomes(material: Material) -> dict[str, str]:
    """{role: 'COVID 12, Normal 31', or 'mean global score 8.4'}; {} for other tasks."""
    known = material.task.probabilities
    if known is None:
        return {}
    found = {}
    for role in roles.ROLES:
        (labels,) = material.task.targets(getattr(material.splits, role)).values()
        if known.is_graded:
            found[role] = f"mean global score {labels.sum(axis=-1).mean():.2f}"
        else:
            each = np.bincount(labels, minlength=len(known.classes)).tolist()
            pairs = zip(known.classes, each, strict=True)
            found[role] = ", ".join(f"{name} {n:,}" for name, n in pairs)
    return found


def _data(data: ConfigDict, home: pathlib.Path) -> ConfigDict:
    """Points at the phantom as a prepared dataset, which only this process reads."""
    if not data.phantom:
        return data
    found = data.copy_and_resolve_references().unlock()
    found.data_dir, found.phantom = phantom.ensure(data, home), 0
    return found.lock()


def _audit(
    workdir: pathlib.Path, name: str, fits: Callable[[dict[str, Any]], bool]
) -> dict[str, Any] | None:
    """Reads an audit; None if it was made of other data.

    Raises:
      InputError: its verdicts come from another version.
    """
    for path in (workdir / name, workdir / "audit" / name):
        if path.exists():
            found = files.read_json(path, missing=stored_lib.RESTORE)
            if fits(found):
                verdicts.from_json(found, path)
                return found
    return None


def _is_of_data(splits: roles.Splits, audit: dict[str, Any]) -> bool:
    """Whether one of its datasets has the same train, val and test as the run."""
    own = splits.description["roles"]
    return any(each.get("splits") == own for each in audit["datasets"].values())


def _is_of_test(splits: roles.Splits, audit: dict[str, Any]) -> bool:
    test = splits.test
    return audit["dataset"] == test.dataset and audit["size"] == results.size(test)
