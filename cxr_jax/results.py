"""The result of a run: `results.json` and the table a person reads."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

from cxr_jax import files
from cxr_jax.evaluators import Evaluation
from cxr_jax.metrics import Estimate
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
    files.write_text(path, json.dumps(content, indent=2) + "\n")


def size(evaluation: Evaluation) -> dict[str, int]:
    """How many images and patients a figure rests on."""
    split = evaluation.split
    return {"images": split.size, "patients": len(set(split.table["patient_id"]))}


def show(evaluation: Evaluation, title: str) -> None:
    """Prints the metrics of one split with their intervals."""
    counts = size(evaluation)
    say(f"\n{title}: {counts['images']} images of {counts['patients']} patients")
    if evaluation.split.synthetic:
        say("SYNTHETIC phantoms: these figures say nothing about patients.")
    width = max(len(name) for name in evaluation.metrics)
    say(f"  {'':{width}}    value   95 % interval (bootstrap over patients)")
    for name, estimate in evaluation.metrics.items():
        say(f"  {name:{width}}  {row(estimate)}")


def row(estimate: Estimate) -> str:
    """'  0.412   0.371 to 0.455'."""
    text = f"{estimate.value:7.3f}"
    if math.isfinite(estimate.lo):
        text += f"   {estimate.lo:.3f} to {estimate.hi:.3f}"
    return text + (f"   ({estimate.reason})" if estimate.reason else "")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
