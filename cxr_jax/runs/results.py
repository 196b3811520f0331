"""The result of a run: `results.json` and the table a person reads."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from cxr_jax.data.roles import ROLES, Splits, shared_patients
from cxr_jax.data.split import Split
from cxr_jax.devices import processes
from cxr_jax.devices.terminal import say
from cxr_jax.metrics.registry import metric
from cxr_jax.runs import results_file, seal
from cxr_jax.stats.estimate import Estimate, number
from tfds_builders.common import files


def to_json(metrics: dict[str, dict[str, Estimate]]) -> dict[str, Any]:
    """{'val': {'mae_zone': Estimate}} -> {'val/mae_zone': {'value', 'lo', 'hi', 'n'}}."""
    return {
        f"{split}/{name}": estimate.to_json()
        for split, found in metrics.items()
        for name, estimate in found.items()
    }


def estimates_to_json(found: dict[str, Estimate]) -> dict[str, Any]:
    """{metric: of `Estimate.to_json`}."""
    return {name: each.to_json() for name, each in found.items()}


def estimates(content: dict[str, Any], split: str = "") -> dict[str, Estimate]:
    """{metric: Estimate} of results.json or of an evaluation.

    split: 'test' or 'val'; an evaluation has one only.
    """
    return {
        key.partition("/")[2]: Estimate.from_json(value)
        for key, value in content["metrics"].items()
        if key.startswith(split)
    }


def save(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes the JSON; its presence means that what it describes is finished.

    With it go digests of itself and of the files it rests on: see `seal`.
    """
    if processes.is_first():
        files.write_text(path, json.dumps(seal.made(path, content), indent=2) + "\n")


def size(split: Split) -> dict[str, Any]:
    """The size of a split: {'images': 90, 'patients': 40}."""
    return {"images": split.size, split.unit: len(set(split.table["patient_id"]))}


def count(split: Split) -> str:
    """'90 images of 40 patients', or the dataset's own unit."""
    return _count(size(split))


def describe(splits: Splits) -> list[str]:
    """Lines for people: the dataset, what each role holds, and patients in two of them."""
    description = splits.description
    marker = "  (SYNTHETIC phantoms)" if description["synthetic"] else ""
    lines = [f"{description['name']}{marker}"]
    lines += [f"{role:5}  {count(getattr(splits, role))}" for role in ROLES]
    return lines + [
        f"WARNING: {shared} {splits.train.unit} are in both of {pair}"
        for pair, shared in shared_patients(splits).items()
        if shared
    ]


def show(split: str, content: dict[str, Any]) -> None:
    """Prints the metrics of one split with their intervals.

    Args:
      split: as in the keys of `content['metrics']`.
      content: of `results.json`, or of an evaluation.
    """
    sizes = content["sizes"][split]
    unit = next((key for key in sizes if key != "images"), "images")
    say(f"\n{content['dataset']} {split}: {_count(sizes)}")
    if "best" in content:  # not of pooled folds
        best = content["best"]
        name = f"{best['metric']} {best['value']:.3f}"
        say(f"checkpoint of step {best['step']}, {name}")
    if content["synthetic"]:
        say("SYNTHETIC phantoms: these figures say nothing about patients.")
    found = estimates(content, f"{split}/")
    shown = {name: e for name, e in found.items() if metric(name).shown == "terminal"}
    width = max(map(len, shown))
    say(f"  {'':{width}}    value   95 % interval (bootstrap over {unit})")
    for name, each in shown.items():
        reason = f"({each.reason})" * bool(each.reason)
        row = f"  {name:{width}}  {number(each.value):>7}   {each.interval():14}   {reason}"
        say(row.rstrip())
    if len(shown) < len(found):
        say(f"  and {len(found) - len(shown)} more, in the file below")


def show_finished(workdir: pathlib.Path) -> None:
    """Prints the result of a run that was finished before, or what it has on val."""
    path = workdir / "results.json"
    role = "test" if path.exists() else "val"
    path = path if role == "test" else workdir / "val.json"
    content = results_file.read(path, missing="train first")
    say(f"{workdir} is {'finished' if role == 'test' else 'trained'}.")
    show(role, content)
    say(f"\nwritten: {path}")


def _count(sizes: dict[str, Any]) -> str:
    images = f"{sizes['images']:,} images"
    others = [f"{n:,} {unit}" for unit, n in sizes.items() if unit != "images"]
    return " of ".join([images, *others])
