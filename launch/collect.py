"""Tables of a sweep: python -m launch.collect runs/loss [--metrics=mae_zone,...]."""

from __future__ import annotations

import pathlib
import statistics
from typing import Any

from absl import flags

from cxr_jax.metrics.registry import HEADLINES
from cxr_jax.stats.estimate import Estimate, number
from tfds_builders.common import command, files
from tfds_builders.common.errors import InputError
from tfds_builders.common.text import csv_text

from . import workdirs

_METRICS = flags.DEFINE_list(
    "metrics", None, "Metrics of the test split to show; table.csv has all."
)

# `launch` from a checkout, `cxr_jax.launch` where it is installed.
_COMMAND = f"python -m {__package__}.collect"

SHOWN = tuple(dict.fromkeys(name for names in HEADLINES.values() for name in names))


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        raise InputError(
            "command line", "one folder is needed", f"{_COMMAND} runs/loss"
        )
    return collect(pathlib.Path(argv[1]).expanduser(), _METRICS.value)


def collect(folder: pathlib.Path, metrics: list[str] | None = None) -> int:
    """Prints a table of all runs and one over seeds; writes `folder/table.csv`.

    Raises:
      InputError: no run is finished, a file of one is damaged, the runs differ in
        settings that the sweep did not change, or they have none of the metrics.
    """
    runs, unfinished = workdirs.read(folder)
    if not runs:
        raise InputError(
            folder,
            f"contains no finished run ({len(unfinished)} unfinished)",
            f"run: python -m {__package__}.sweep CONFIG --workdir={folder}",
        )
    workdirs.check_alike(folder, runs)
    known = {name: None for run in runs for name in run.metrics}
    present = [m for m in metrics or SHOWN if f"test/{m}" in known]
    if not present:
        names = [m.removeprefix("test/") for m in known if m.startswith("test/")]
        raise InputError(
            "--metrics",
            f"none of {', '.join(metrics or SHOWN)} is in {folder}",
            f"choose from: {', '.join(names)}",
        )
    write_csv(folder / "table.csv", runs)
    show(
        ["run", *present],
        [[run.name, *(_cell(run.metrics, m) for m in present)] for run in runs],
    )
    groups = over_seeds(runs)
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


def over_seeds(runs: list[workdirs.Finished]) -> dict[str, list[workdirs.Finished]]:
    """Groups runs that differ only in the seed by what they share."""
    groups: dict[str, list[workdirs.Finished]] = {}
    for run in runs:
        shared = {k: v for k, v in run.overrides.items() if k != "seed"}
        name = ", ".join(f"{key}={value}" for key, value in shared.items()) or "all"
        groups.setdefault(name, []).append(run)
    return groups


def write_csv(path: pathlib.Path, runs: list[workdirs.Finished]) -> None:
    """Writes a row per run and metric: run, overrides, metric, value, lo, hi, n."""
    keys = sorted({key for run in runs for key in run.overrides})
    rows = [["run", *keys, "metric", "value", "lo", "hi", "n"]]
    for run in runs:
        settings = [run.overrides.get(key, "") for key in keys]
        for metric, estimate in run.metrics.items():
            numbers = [estimate[name] for name in ("value", "lo", "hi", "n")]
            rows.append([run.name, *settings, metric, *numbers])
    files.write_text(path, csv_text(rows))


def show(header: list[str], rows: list[list[str]]) -> None:
    """Prints columns aligned by their widest cells."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    for row in table:
        print("  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip())


def _cell(metrics: dict[str, Any], name: str) -> str:
    found = metrics.get(f"test/{name}")
    if found is None or found["value"] is None:
        return "n/a"
    return Estimate.from_json(found).text()


def _spread(group: list[workdirs.Finished], name: str) -> str:
    values = [run.metrics.get(f"test/{name}", {}).get("value") for run in group]
    if None in values:
        return "n/a"
    mean = statistics.fmean(values)
    if len(values) == 1:
        return number(mean)
    return f"{number(mean)} +- {number(statistics.stdev(values))}"


if __name__ == "__main__":
    command.run(main, hint=f"see --help; for example: {_COMMAND} runs/loss")
