"""The result of a run: `results.json` and the table a person reads."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

from cxr_jax import files, processes
from cxr_jax.data.source import Split
from cxr_jax.evaluators import Evaluation
from cxr_jax.writer import say


def to_json(evaluations: dict[str, Evaluation]) -> dict[str, Any]:
    """{'val': Evaluation} -> {'val/mae_zone': {'value', 'lo', 'hi', 'n'}}, NaN null."""
    return {
        f"{name}/{metric}": {
            "value": _number(estimate.value),
            "lo": _number(estimate.lo),
            "hi": _number(estimate.hi),
            "n": int(estimate.n),
            **({"reason": estimate.reason} if estimate.reason else {}),
        }
        for name, evaluation in evaluations.items()
        for metric, estimate in evaluation.metrics.items()
    }


def save(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes the JSON; its presence means that everything before it is finished."""
    if processes.is_first():
        files.write_text(path, json.dumps(content, indent=2) + "\n")


def size(split: Split) -> dict[str, Any]:
    """How much a figure rests on: {'images': 90, 'patients': 40}."""
    return {"images": split.size, split.unit: len(set(split.table["patient_id"]))}


def count(split: Split) -> str:
    """'90 images of 40 patients', or what stands for patients in this dataset."""
    return _count(size(split))


def show(split: str, content: dict[str, Any]) -> None:
    """Prints the metrics of one split with their intervals.

    Args:
      split: as in the keys of `content['metrics']`.
      content: of `results.json`, or of an evaluation.
    """
    sizes, best = content["sizes"][split], content["best"]
    unit = next((key for key in sizes if key != "images"), "images")
    say(
        f"\n{content['dataset']} {split}: {_count(sizes)}\n"
        f"checkpoint of step {best['step']}, {best['metric']} {best['value']:.3f}"
    )
    if content["synthetic"]:
        say("SYNTHETIC phantoms: these figures say nothing about patients.")
    metrics = {
        key.removeprefix(f"{split}/"): value
        for key, value in content["metrics"].items()
        if key.startswith(f"{split}/")
    }
    width = max(map(len, metrics))
    say(f"  {'':{width}}    value   95 % interval (bootstrap over {unit})")
    for name, estimate in metrics.items():
        say(f"  {name:{width}}  {_row(estimate)}")


def show_finished(path: pathlib.Path) -> None:
    """Prints the result of a run that was finished before."""
    content = files.read_json(path, missing="train first")
    say(f"{path.parent} is finished.")
    show("test", content)
    say(f"\nwritten: {path}")


def _count(sizes: dict[str, Any]) -> str:
    images = f"{sizes['images']:,} images"
    others = [f"{n:,} {unit}" for unit, n in sizes.items() if unit != "images"]
    return " of ".join([images, *others])


def _row(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return f"    n/a   ({estimate['reason']})"
    text = f"{estimate['value']:7.3f}"
    if estimate["lo"] is not None:
        text += f"   {estimate['lo']:.3f} to {estimate['hi']:.3f}"
    return text + (f"   ({estimate['reason']})" if "reason" in estimate else "")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
