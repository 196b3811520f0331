"""Evaluates a trained run on any compatible dataset: how external validation is done."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax.data import builders, roles
from cxr_jax.data.split import Split, fingerprint
from cxr_jax.devices.terminal import say
from cxr_jax.evaluation import evaluators
from cxr_jax.runs import examples, provenance, restore, results, results_file
from tfds_builders.common.errors import InputError

# What may differ between training and evaluating: where the data lie, how much is done
# at once, and which class a label of another dataset stands for.
FREE = (
    "data.data_dir",
    "data.residency",
    "batch_size",
    "resamples",
    "task.settings.merge",
)


def evaluate(
    config: ConfigDict | None,
    workdir: pathlib.Path,
    eval_on: str,
    data_dir: str = "",
) -> int:
    """Restores the best checkpoint and evaluates it.

    Args:
      config: None for that of the run; a given one may differ in FREE only.
      workdir: of the trained run; `predictions/` and `evaluations/` are written to.
      eval_on: `dataset[/config][:split]`; an empty dataset is that of the training,
        the default split is test.
      data_dir: where that dataset lies; empty for where the config says.

    Returns:
      The exit code.
    """
    results_file.check_finished(workdir)
    own = config_lib.from_json(workdir / "config.json")
    config = allowed(config, own, workdir)
    if data_dir:
        config = _elsewhere(config, data_dir)
    builder, split, name = open_split(config, workdir, eval_on)
    if config.data.data_dir == own.data.data_dir:
        provenance.check_same_build(workdir, builders.describe(builder))
    shared = patients_seen_in_training(own, workdir, split)
    exp, state, eval_step, best = restore.load(workdir, config, split)
    evaluation = evaluators.evaluate(
        exp, eval_step, state, split, best["decision"], resamples=config.resamples
    )
    content = {
        "metrics": results.to_json({split.split: evaluation.metrics}),
        "best_step": best["step"],
        "best": best,
        "confusion": exp.task.confusion(
            evaluation.targets, evaluation.predictions, best["decision"]
        ),
        "sizes": {split.split: results.size(split)},
        "shared_patients": shared,
        "external": is_external(own, workdir, builder, split),
        "merge": config.task.settings.get("merge", ""),
        "dataset": builder.info.full_name,
        "synthetic": split.synthetic,
        "provenance": provenance.collect(
            {**builders.describe(builder), "roles": {"eval": fingerprint(split)}}
        ),
    }
    path = file_apart(workdir, name, content)
    predictions = workdir / "predictions" / f"{path.stem}.csv"
    evaluators.save_predictions(predictions, evaluation, exp.task)
    results.save(path, content)
    results.show(split.split, content)
    say(f"\nwritten: {path}\n         {predictions}")
    return 0


def allowed(
    config: ConfigDict | None, own: ConfigDict, workdir: pathlib.Path
) -> ConfigDict:
    """The config to evaluate with: that of the run unless another is given.

    Raises:
      InputError: it differs from that of the run in more than FREE.
    """
    if config is None:
        return own
    changes = config_lib.diff(own, config, ignore=FREE)
    if changes:
        raise InputError(
            "--config",
            f"differs from the config of {workdir}:\n  "
            + changes.replace("\n", "\n  "),
            "omit --config: that of the run is read from its workdir",
        )
    return config


def _elsewhere(config: ConfigDict, data_dir: str) -> ConfigDict:
    """The config with prepared data of another folder, and no phantom."""
    found = config.copy_and_resolve_references().unlock()
    found.data.data_dir, found.data.phantom = data_dir, 0
    return found.lock()


def open_split(config: ConfigDict, workdir: pathlib.Path, eval_on: str):
    """-> (builder, split, file name) of `dataset[/config][:split]`.

    Train, val and test of the run's own dataset are those of the run: its fold and
    its `config.data` say which they are.
    """
    data = config.data
    name, _, asked = eval_on.partition(":")
    asked = asked or "test"
    if name in ("", data.dataset.split("/")[0]):
        name = data.dataset
    own = is_own(config, name)
    builder = builders.open_builder(
        name, roles.data_dir(data, workdir) if own else data.data_dir
    )
    same_roles = name == data.dataset or (own and roles.words(data) != "")
    if same_roles and asked in roles.ROLES:
        split = roles.roles(builder, data)[asked]
    else:
        split = builders.load(builder, asked, data.masks)
    if own and "/" not in name and builder.builder_config:
        name = f"{name}/{builder.builder_config.name}"
    return builder, split, file_name(name, asked)


def file_apart(
    workdir: pathlib.Path, name: str, content: dict[str, Any]
) -> pathlib.Path:
    """Where to write an evaluation: never over one of other data or other classes.

    Two datasets may have one name, in two folders. The second is called by a digest of
    its data too.

    Args:
      workdir: of the run.
      name: of `file_name`.
      content: of the evaluation.
    """
    plain = workdir / "evaluations" / f"{name}.json"
    if _replaces(plain, content):
        return plain
    about = json.dumps(_rests_on(content), sort_keys=True)
    mark = hashlib.sha256(about.encode()).hexdigest()[:8]
    say(f"{plain} is of other data, and stays")
    return plain.with_name(f"{name}-{mark}.json")


def _replaces(path: pathlib.Path, content: dict[str, Any]) -> bool:
    """Nothing is there, or an evaluation of the same data."""
    if not path.exists():
        return True
    try:
        there = json.loads(path.read_bytes())
        one, other = _rests_on(there), _rests_on(content)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False  # whatever it is, it is not ours to replace
    return one["merge"] == other["merge"] and not provenance.differences(
        one["dataset"], other["dataset"]
    )


def _rests_on(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "dataset": content["provenance"]["dataset"],
        "merge": content.get("merge", ""),
    }


def is_external(
    config: ConfigDict, workdir: pathlib.Path, builder, split: Split
) -> bool:
    """The split is of another dataset than the run's, or of another by the same name.

    A folder of pictures is always called image_folder. It is another one where its
    pixels are others and none of its examples is one of the run.

    Args:
      config, workdir: of the run.
      builder, split: that it is evaluated on.
    """
    if not is_own(config, split.dataset):
        return True
    path, known = workdir / "provenance.json", examples.read(workdir)
    if known is None or not path.exists():
        return False
    first, now = provenance.read(path)["dataset"], builders.describe(builder)
    is_same_name = first.get("name") == now["name"]
    pixels = first.get("pixels"), now["pixels"]
    if not (is_same_name and all(pixels) and pixels[0] != pixels[1]):
        return False
    ids = set(split.table["example_id"])
    return not any(ids & role.examples for role in known.values())


def is_own(config: ConfigDict, name: str) -> bool:
    """It is the dataset of the training, in whatever config of the builder."""
    return name.split("/")[0] == config.data.dataset.split("/")[0]


def patients_seen_in_training(
    config: ConfigDict, workdir: pathlib.Path, split: Split
) -> dict[str, int]:
    """Patients of the split that the run was trained or selected on, with a warning.

    Only within one dataset: the names of patients mean nothing across datasets. What
    the run was trained on is asked of the run: its data may have moved, and others may
    lie in their place.

    Args:
      config: of the run, with its own data.
      workdir: of the run.
      split: that it is evaluated on.
    """
    if not is_own(config, split.dataset):
        return {}
    known = examples.read(workdir)
    if known is None:  # of an earlier version: from the data, where they were
        builder = builders.open_builder(
            config.data.dataset, roles.data_dir(config.data, workdir)
        )
        tables = {k: v.table for k, v in roles.roles(builder, config.data).items()}
        known = {
            role: examples.Ids(frozenset(t["example_id"]), frozenset(t["patient_id"]))
            for role, t in tables.items()
        }
    shared = {}
    for role, use in (("train", "trained"), ("val", "selected")):
        patients = len(known[role].patients & set(split.table["patient_id"]))
        images = len(known[role].examples & set(split.table["example_id"]))
        shared[f"{role}-{split.split}"] = patients
        if patients:
            say(
                f"WARNING: the run was {use} on {patients} of these {split.unit} "
                f"({images} of the {split.size} images)"
            )
    return shared


def file_name(name: str, split: str) -> str:
    """('brixia/256', 'train[:50%]') -> 'brixia_256-train_50pct'.

    The dataset of the training always has its config in the name, so an evaluation
    never overwrites the predictions that the run itself wrote.
    """
    text = f"{name.replace('/', '_')}-{split}".replace("%", "pct").replace("[:", "[")
    return "".join(c if c.isalnum() or c in "+-_" else "_" for c in text).strip("_")
