"""A run against its bundle on whole folders, and what the gate did with them.

    python -m benchmarks.deployed --run=RUN --bundle=BUNDLE --input=FOLDER,...
        [--data=../shared/data]

Films are scored as by --mode=predict --gate=warn, without pictures, so that they have
figures whatever the gate says of them. Prints what the gate would refuse, the largest
differences, and the bundle's variants.
"""

from __future__ import annotations

import collections
import csv
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from benchmarks import machine
from cxr_jax import config as config_lib
from cxr_jax.bundle import digests, loaded
from cxr_jax.data import roles
from cxr_jax.devices import settings
from cxr_jax.gate.fitted import CHECKS
from cxr_jax.predict import opening, scoring
from cxr_jax.predict.record import REFUSED, WARNED
from cxr_jax.predict.scoring import WARN, Scorer
from cxr_jax.runs import predictions
from tfds_builders.common import command, files, places
from tfds_builders.common.errors import InputError

_TEXTS = ("called", "set", "warnings", "error")  # the beginnings of their names
_CALLS = 20
Row = dict[str, str]


def scored(scorer: Scorer, films: list[str]) -> list[Row]:
    """The rows of predictions.csv."""
    found = scoring.records(scorer, films, WARN)
    return [{key: str(value) for key, value in each.items()} for each in found]


def verdict(row: Row) -> tuple[str, tuple[str, ...]]:
    """('passed', 'refused' or 'unreadable', the checks that failed)."""
    if row["error"]:
        return "unreadable", ()
    reasons = filter(None, row["gate_reasons"].split(";"))
    failed = tuple(reason.partition("=")[0] for reason in reasons)
    return "refused" if row["gate"] in (REFUSED, WARNED) else "passed", failed


def table(groups: dict[str, list[Row]]) -> list[str]:
    """Rows: films, what became of them, and how many of them each check found."""
    lines = []
    for name, rows in groups.items():
        verdicts = [verdict(row) for row in rows]
        states = collections.Counter(state for state, _ in verdicts)
        found = collections.Counter(check for _, failed in verdicts for check in failed)
        counts = [states["passed"], states["refused"], states["unreadable"]]
        cells = [name, len(rows), *counts, *(found[check] or "" for check in CHECKS)]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return lines


def gaps(one: Sequence[Row], other: Sequence[Row]) -> dict[str, Any]:
    """The largest difference of each kind of figure, and how many rows differ else.

    Kinds are the beginnings of the columns' names, as `prob` of `prob_A0`.
    """
    if [row["path"] for row in one] != [row["path"] for row in other]:
        raise InputError(
            "the bundle", "was given other films", "leave the folders alone meanwhile"
        )
    found: dict[str, Any] = collections.defaultdict(float)
    differ = {"gate": 0, "checks": 0} | dict.fromkeys(_TEXTS, 0)
    for left, right in zip(one, other, strict=True):
        (state, checks), (state_2, checks_2) = verdict(left), verdict(right)
        differ["gate"] += state != state_2
        differ["checks"] += checks != checks_2
        for column, text in left.items():
            kind = column.partition("_")[0]
            if kind in ("path", "example", "gate"):
                continue
            if kind in _TEXTS:
                differ[kind] += text != right[column]
            elif text or right[column]:
                gap = abs(float(text or "nan") - float(right[column] or "nan"))
                # A figure on one side only is nan, and stays.
                found[kind] = float(np.maximum(found[kind], gap))
    return dict(found) | {f"rows with another {k}": n for k, n in differ.items()}


def grouped(
    rows: Sequence[Row], data: pathlib.Path, run: pathlib.Path
) -> dict[str, list[Row]]:
    """Rows by folder, films of patients of the run's training apart."""
    manifest = {}
    for name in ("MANIFEST.csv", "MANIFEST_more.csv"):
        for each in _table(data / name):
            manifest[(data / each["path"]).resolve()] = each
    patients, films = _trained_on(run)
    groups: dict[str, list[Row]] = collections.defaultdict(list)
    for row in rows:
        path = pathlib.Path(row["path"]).resolve()
        name = str(path.parent.relative_to(data.resolve()))
        known = manifest.get(path)
        if known and (
            known["patient"] in patients
            or pathlib.PurePath(known["source_file"]).stem in films
        ):
            name += ", patients of the training"
        groups[name].append(row)
    return dict(sorted(groups.items()))


def _trained_on(workdir: pathlib.Path) -> tuple[set[str], set[str]]:
    """Patients and example ids of a run's train split."""
    config = config_lib.from_json(workdir / "config.json")
    home = predictions.home(predictions.read(workdir))
    train = roles.open_splits(config.data, home).train
    return (
        {str(train.table["patient_id"][row]) for row in train.rows},
        {str(train.table["example_id"][row]) for row in train.rows},
    )


def variants(bundle: pathlib.Path) -> list[str]:
    """Rows: megabytes, what each loses on films of test, milliseconds of a film."""
    checked = files.read_json(
        bundle / digests.VERIFICATION, missing="export again", damaged="export again"
    )
    lines = []
    for name, found in checked["variants"].items():
        extra = {k: v for k, v in found.items() if k not in _SHOWN}
        main = ", ".join(f"{key} {value:.4f}" for key, value in extra.items())
        times = " | ".join(f"{_milliseconds(bundle, name, n):.1f}" for n in (1, 2))
        lines.append(
            f"| {name} | {found['bytes'] / 1e6:.1f} | {found['films']} | {main} | "
            f"{found['probs']:.2g} | {100 * found['called']:.1f} % | {times} |"
        )
    return lines


_SHOWN = ("films", "probs", "called", "bytes", "latency_ms")


def _milliseconds(bundle: pathlib.Path, variant: str, threads: int) -> float:
    """Of the network for a film, the fastest of some calls: the others were disturbed."""
    opened = loaded.load(bundle, variant=variant, threads=threads)
    side = opened.recipe.preprocess.side
    image = np.random.default_rng(0).random((1, side, side, 1), np.float32)
    opened.scorer.network(image)
    times = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        opened.scorer.network(image)
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def _table(path: pathlib.Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(argv[1], "an argument", "use flags only: see --help")
    for name in ("run", "bundle", "input"):
        if not flags.FLAGS[name].value:
            raise InputError(f"--{name}", "is not given", "see --help")
    films, run = flags.FLAGS.input, places.expanded(flags.FLAGS.run)
    bundle = places.expanded(flags.FLAGS.bundle)
    logging.set_verbosity(logging.ERROR)  # the libraries' own
    settings.apply()
    one = scored(opening.scorer(run, WARN), films)
    other = scored(loaded.load(bundle).scorer, films)
    print(f"| films | n | passed | refused | unreadable | {' | '.join(CHECKS)} |")
    print("|---|" + "---|" * (4 + len(CHECKS)))
    for line in table(grouped(one, places.expanded(flags.FLAGS.data), run)):
        print(line)
    print(f"\n{len(one):,} films, the bundle against the run:")
    for name, gap in gaps(one, other).items():
        print(f"  {name}: {gap:.2g}" if isinstance(gap, float) else f"  {name}: {gap}")
    print(f"\n{machine.describe('onnxruntime')}")
    print("| variant | MB | films | metric | probability | called | ms, 1 thread | 2 |")
    print("|---|---|---|---|---|---|---|---|")
    for line in variants(bundle):
        print(line)


if __name__ == "__main__":
    flags.DEFINE_string("run", "", "Workdir; films of its training have own rows.")
    flags.DEFINE_string("bundle", "", "Of that run.")
    flags.DEFINE_list("input", [], "Folders of --data, as --mode=predict takes them.")
    flags.DEFINE_string("data", "../shared/data", "The films, with MANIFEST.csv.")
    command.run(main)
