"""One picture of several sweeps that have one baseline and one question.

    python -m docs.make.sweeps_together docs/ablations/polarity.svg "as the tag says" \
      "negatives by chance=runs/polarity" "negatives where severe=runs/polarity_severe"

Each folder is that of a sweep of two settings which `launch.collect` has answered.
"""

from __future__ import annotations

import csv
import pathlib
import sys

from cxr_jax.metrics.registry import METRICS
from cxr_jax.report.figures import style, sweeps
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common import files


def difference(folder: pathlib.Path) -> tuple[str, Estimate]:
    """The first metric of a sweep, and what its other setting makes of it."""
    path = folder / "answer" / "tables" / "differences.csv"
    with path.open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    name = next(key for key in row if key.startswith("minus "))
    lo, hi = (float(row[f"{name} {end}"]) for end in ("lo", "hi"))
    return row["metric"], Estimate(float(row[name]), lo, hi, int(row[f"{name} n"]))


def main(out: pathlib.Path, baseline: str, named: list[str]) -> None:
    parts = dict(text.split("=", 1) for text in named)
    found = {name: difference(pathlib.Path(folder)) for name, folder in parts.items()}
    (label,) = {metric for metric, _ in found.values()}
    better = next(each.better for each in METRICS.values() if each.label == label)
    rows = [(name, one) for name, (_, one) in found.items()]
    figure = sweeps.differences(rows, baseline, label, better)
    files.write_bytes(out, style.to_svg(figure))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
