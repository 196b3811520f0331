"""The answer of a sweep: python -m launch.collect runs/loss [--metrics=mae_zone,...]."""

from __future__ import annotations

import pathlib

from absl import flags

from cxr_jax.devices.terminal import say
from cxr_jax.metrics.registry import metric as metric_of
from cxr_jax.report import sweep_page as page
from cxr_jax.report.figures import sweeps
from cxr_jax.report.figures.drawings import Drawing
from cxr_jax.runs import text_table
from tfds_builders.common import command, files, places
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import read_lines
from tfds_builders.common.text import csv_text

from . import answer_tables, answer_words, judged, register, workdirs
from .answer import Answer, answer

_METRICS = flags.DEFINE_list(
    "metrics", None, "Metrics of the test split to compare; table.csv has all."
)
_AGAINST = flags.DEFINE_string(
    "against",
    "",
    "The setting that all others are compared with, or a part of its name that no other "
    "has; omitted: the first.",
)

# `launch` from a checkout, `cxr_jax.launch` where it is installed.
_COMMAND = f"python -m {__package__}.collect"
FOLDER = "answer"


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        raise InputError(
            "command line", "one folder is needed", f"{_COMMAND} runs/loss"
        )
    return collect(places.expanded(argv[1]), _METRICS.value, _AGAINST.value)


def collect(
    folder: pathlib.Path, metrics: list[str] | None = None, against: str = ""
) -> int:
    """Prints the answer, writes `folder/table.csv` of all runs and `folder/answer/`.

    Args:
      folder: of a sweep.
      metrics: to compare; None for the headline of the task.
      against: the setting that others are compared with, see `--against`.

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
    asked = register.read(folder) if register.holds(folder) else []
    place = {part.folder: k for k, part in enumerate(asked)}
    runs.sort(key=lambda run: place.get(run.name, len(place)))
    named = {part.folder: part.setting for part in asked}
    found = answer(judged.settings(runs, named), metrics, against)
    write_csv(folder / "table.csv", runs)
    path = write(found, folder, len(runs), unfinished)
    _show(found)
    for name in unfinished:
        say(f"unfinished: {name}")
    say(f"\nwritten: {path}\n         {folder / 'table.csv'}")
    return 0


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


def write(
    found: Answer, folder: pathlib.Path, runs: int, unfinished: list[str]
) -> pathlib.Path:
    """Writes `folder/answer/`: the page, Markdown, LaTeX, figures and tables."""
    verdicts, notes = answer_words.verdicts(found), answer_words.notes(found)
    if unfinished:
        notes = [f"Unfinished and left out: {', '.join(unfinished)}.", *notes]
    tables = [answer_tables.settings(found), answer_tables.differences(found)]
    text = "\n\n".join(
        [
            *verdicts,
            answer_tables.markdown(found).rstrip(),
            "\n".join(f"- {n}" for n in notes),
        ]
    )
    files.write_text(folder / FOLDER / "answer.md", text + "\n")
    files.write_text(folder / FOLDER / "table.tex", answer_tables.latex(found))
    whole = page.Sweep(
        title=" ".join(register.questions(folder)) or f"Sweep {folder.resolve().name}",
        subtitle=f"{text_table.count(runs, 'runs')} of "
        f"{text_table.count(len(found.rows), 'settings')}.",
        verdicts=verdicts,
        drawings=_drawings(found),
        tables=[each for each in tables if each.rows],
        notes=notes,
    )
    return page.write(whole, folder / FOLDER)


def _drawings(found: Answer) -> list[Drawing]:
    name = found.metrics[0]
    metric = metric_of(name)
    against = [
        (row.setting.name, row.gaps[name].effect.estimate)
        for row in found.rows
        if row.gaps
    ]
    histories = {
        row.setting.name: [
            read_lines(run.path / "metrics.jsonl") for run in row.setting.all_runs
        ]
        for row in found.rows
    }
    curves = Drawing(
        "curves",
        f"{metric.label} on val",
        "Blue: the runs of a setting; grey: those of all settings.",
        sweeps.curves(histories, f"val/{name}", metric.label),
    )
    if not against:
        return [curves]
    forest = Drawing(
        "differences",
        f"{metric.label}, minus {found.baseline}",
        "Means over seeds with 95 % intervals over patients and seeds.",
        sweeps.differences(
            against,
            found.baseline,
            metric.label,
            metric.better if metric.ranks else "",
        ),
    )
    return [forest, curves]


def _show(found: Answer) -> None:
    say(
        "\n".join(text_table.wrapped(each, "") for each in answer_words.verdicts(found))
    )
    say("")
    for name in found.metrics:
        say("\n".join(answer_tables.lines(found, name)) + "\n")
    for note in answer_words.notes(found):
        say(text_table.wrapped(note, ""))


if __name__ == "__main__":
    command.run(main, hint=f"see --help; for example: {_COMMAND} runs/loss")
