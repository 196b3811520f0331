"""The result of a run: `results.json` and the table a person reads."""

from __future__ import annotations

import json
import math
import pathlib
import re
from typing import Any

from cxr_jax.data.split import Split
from cxr_jax.devices import processes
from cxr_jax.evaluation.evaluators import Evaluation
from cxr_jax.metrics import Estimate
from cxr_jax.runs.writer import say
from tfds_builders.common import files

# Metrics that are written but not printed: docs/metrics.md explains them all.
_DETAIL = re.compile(
    r"_zone_[A-F]$|_(right|left)$|_(tempered|vector)$|_at95$|^(macro|weighted)_(precision|recall)"
    r"|^micro_|^weighted_|^(rmse|sd|spearman|limits|lr|brier|rps|mcc|kappa$|balanced)"
    r"|^(calibration_intercept|auroc_delong|exact_global|within_one_global)"
    r"|^(icc|bias|pearson)_zone$|^(icc|kappa)_.*junior"
)


def to_json(evaluations: dict[str, Evaluation]) -> dict[str, Any]:
    """{'val': Evaluation} -> {'val/mae_zone': {'value', 'lo', 'hi', 'n'}}, NaN null."""
    return {
        f"{name}/{metric}": estimate_to_json(estimate)
        for name, evaluation in evaluations.items()
        for metric, estimate in evaluation.metrics.items()
    }


def estimate_to_json(estimate: Estimate) -> dict[str, Any]:
    """{'value', 'lo', 'hi', 'n'}, and 'reason' where there is one; NaN is null."""
    return {
        "value": number(estimate.value),
        "lo": number(estimate.lo),
        "hi": number(estimate.hi),
        "n": int(estimate.n),
        **({"reason": estimate.reason} if estimate.reason else {}),
    }


def estimates_to_json(found: dict[str, Estimate]) -> dict[str, Any]:
    """{metric: of `estimate_to_json`}."""
    return {name: estimate_to_json(each) for name, each in found.items()}


def estimate_from_json(found: dict[str, Any]) -> Estimate:
    """What `estimate_to_json` wrote."""
    value, lo, hi = (
        float("nan") if found[key] is None else found[key]
        for key in ("value", "lo", "hi")
    )
    return Estimate(value, lo, hi, found["n"], found.get("reason", ""))


def estimates(content: dict[str, Any], split: str = "") -> dict[str, Estimate]:
    """{metric: Estimate} of results.json or of an evaluation.

    split: 'test' or 'val'; an evaluation has one only.
    """
    return {
        key.partition("/")[2]: estimate_from_json(value)
        for key, value in content["metrics"].items()
        if key.startswith(split)
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
    sizes = content["sizes"][split]
    unit = next((key for key in sizes if key != "images"), "images")
    say(f"\n{content['dataset']} {split}: {_count(sizes)}")
    if "best" in content:  # not of pooled folds
        best = content["best"]
        name = f"{best['metric']} {best['value']:.3f}"
        say(f"checkpoint of step {best['step']}, {name}")
    if content["synthetic"]:
        say("SYNTHETIC phantoms: these figures say nothing about patients.")
    metrics = {
        key.removeprefix(f"{split}/"): value
        for key, value in content["metrics"].items()
        if key.startswith(f"{split}/")
    }
    shown = {name: row for name, row in metrics.items() if not _DETAIL.search(name)}
    width = max(map(len, shown))
    say(f"  {'':{width}}    value   95 % interval (bootstrap over {unit})")
    for name, estimate in shown.items():
        say(f"  {name:{width}}  {_row(estimate)}")
    if len(shown) < len(metrics):
        say(f"  and {len(metrics) - len(shown)} more, in the file below")


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


def number(value: float) -> float | None:
    """As JSON has it: what is not finite is null."""
    return float(value) if math.isfinite(value) else None
