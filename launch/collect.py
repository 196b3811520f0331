"""Tables of a sweep: python -m launch.collect runs/loss [--metrics=mae_zone,...]."""

from __future__ import annotations

import csv
import json
import pathlib
import statistics
import sys
from typing import Any

from absl import app, flags

from tfds_builders.common.errors import InputError

_METRICS = flags.DEFINE_list(
    "metrics", None, "Metrics of the test split to show; all are in the csv."
)

SHOWN = (
    "mae_zone",
    "kappa_zone",
    "pearson_global",
    "auroc",
    "auroc_macro",
    "accuracy",
    "macro_f1",
)


def main(argv: list[str]) -> int:
    try:
        if len(argv) != 2:
            raise InputError(
                "command line", "give one folder", "python -m launch.collect runs/loss"
            )
        return collect(pathlib.Path(argv[1]), _METRICS.value)
    except InputError as error:
        print(f"\nerror: {error}", file=sys.stderr, flush=True)
        return 1


def collect(folder: pathlib.Path, metrics: list[str] | None = None) -> int:
    """Prints a table of all runs and one over seeds; writes `folder/table.csv`."""
    rows, unfinished = read(folder)
    if not rows:
        raise InputError(
            folder,
            f"holds no finished run ({len(unfinished)} unfinished)",
            "run: python -m launch.sweep CONFIG --workdir=" + str(folder),
        )
    write_csv(folder / "table.csv", rows)
    present = [m for m in metrics or SHOWN if f"test/{m}" in rows[0]["metrics"]]
    if not present:
        raise InputError(
            "--metrics",
            f"none of {metrics or SHOWN} is in {folder}",
            "choose of: " + ", ".join(m.split("/")[1] for m in rows[0]["metrics"]),
        )
    show(
        ["run", *present],
        [[row["run"], *(_cell(row["metrics"], m) for m in present)] for row in rows],
    )
    groups = over_seeds(rows)
    if any(len(group) > 1 for group in groups.values()):
        print("\nmean and standard deviation over seeds")
        show(
            ["setting", "seeds", *present],
            [
                [name, str(len(group)), *(_spread(group, m) for m in present)]
                for name, group in groups.items()
            ],
        )
    for name in unfinished:
        print(f"unfinished: {name}")
    print(f"\nwritten: {folder / 'table.csv'}")
    return 0


def read(folder: pathlib.Path) -> tuple[list[dict[str, Any]], list[str]]:
    """-> (finished runs by name, names of the others)."""
    rows, unfinished = [], []
    for path in sorted(folder.glob("*/overrides.json")):
        result = path.with_name("results.json")
        if not result.exists():
            unfinished.append(path.parent.name)
            continue
        rows.append(
            {
                "run": path.parent.name,
                "overrides": json.loads(path.read_text()),
                "metrics": json.loads(result.read_text())["metrics"],
            }
        )
    return rows, unfinished


def over_seeds(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Runs that differ in nothing but the seed, by what they share."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        shared = {k: v for k, v in row["overrides"].items() if k != "seed"}
        name = ", ".join(f"{key}={value}" for key, value in shared.items()) or "all"
        groups.setdefault(name, []).append(row)
    return groups


def write_csv(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    """One row per run and metric: run, overrides, metric, value, lo, hi, n."""
    keys = sorted({key for row in rows for key in row["overrides"]})
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", *keys, "metric", "value", "lo", "hi", "n"])
        for row in rows:
            settings = [row["overrides"].get(key, "") for key in keys]
            for metric, estimate in row["metrics"].items():
                numbers = [estimate[name] for name in ("value", "lo", "hi", "n")]
                writer.writerow([row["run"], *settings, metric, *numbers])
    temporary.replace(path)


def show(header: list[str], rows: list[list[str]]) -> None:
    """Columns aligned by their widest cell."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    for row in table:
        print("  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip())


def _cell(metrics: dict[str, Any], name: str) -> str:
    estimate = metrics[f"test/{name}"]
    if estimate["value"] is None:
        return "n/a"
    if estimate["lo"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['lo']:.3f} to {estimate['hi']:.3f})"


def _spread(group: list[dict[str, Any]], name: str) -> str:
    values = [row["metrics"][f"test/{name}"]["value"] for row in group]
    if None in values:
        return "n/a"
    mean = statistics.fmean(values)
    if len(values) == 1:
        return f"{mean:.3f}"
    return f"{mean:.3f} +- {statistics.stdev(values):.3f}"


if __name__ == "__main__":
    app.run(main)
