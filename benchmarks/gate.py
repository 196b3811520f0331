"""How often a run's gate refuses films that it should pass, and those it should not.

python -m benchmarks.gate --runs=RUN,... [--data=../shared/data] [--films=100]

Each run's gate is fitted as `--mode=predict` does, to the train split. Judged are films of
its own test split, as they are and altered, and those of other collections; those that the
run was trained on are left out. Intervals are over patients.
"""

from __future__ import annotations

import pathlib
import time

import cv2
import numpy as np
from absl import flags

from benchmarks import gate_films
from benchmarks.gate_films import ALTERED, Group
from cxr_jax.data import roles
from cxr_jax.data.split import Split
from cxr_jax.gate.fitted import CHECKS
from cxr_jax.gate.judge import judge
from cxr_jax.predict import gate_of_run, squares
from cxr_jax.predict.of_run import Opened, open_run
from cxr_jax.rng import generator
from cxr_jax.runs import predictions
from cxr_jax.stats import bootstrap
from tfds_builders.common import command
from tfds_builders.common.errors import InputError

# Collections whose films are in a dataset of this project.
_WITHIN = {
    "brixia": ("BrixIA, DICOM", "Cohen, frontal"),
    "brixia_public": ("BrixIA, DICOM", "Cohen, frontal"),
    "covid_chestxray": ("BrixIA, DICOM", "Cohen, frontal"),
    "covid_radiography": ("NIH", "Hannover", "children (Kermany)"),
    "covidgr": ("NIH", "BrixIA, DICOM", "Cohen, frontal"),
    "image_folder": ("children (Kermany)",),
}


def refused(gate, opened: Opened, films: list[np.ndarray]) -> np.ndarray:
    """Which check finds which film: bool [n, checks]."""
    given = np.stack([squares.square(f, opened.recipe.preprocess) for f in films])
    features = opened.network(given).features
    found = [judge(gate, f, each) for f, each in zip(films, features, strict=True)]
    names = [{finding.check for finding in verdict.findings} for verdict in found]
    return np.array([[check in one for check in CHECKS] for one in names])


def row(name: str, hits: np.ndarray, patients: list[str]) -> str:
    """A row of the table: films, share refused with interval, share by check."""
    counts = bootstrap.weights(np.array(patients), 2000)
    every = np.ones(len(hits), bool)
    share = bootstrap.share(hits.any(1), every, counts)
    by_check = " | ".join(f"{100 * part:.0f}" if part else "" for part in hits.mean(0))
    return f"| {name} | {len(hits)} | {share.text(unit='%')} | {by_check} |"


def some(group: Group, most: int) -> Group:
    """At most so many films of a group, drawn once and for all."""
    order = generator(0, f"gate {group.name}").permutation(len(group.read))[:most]
    read = [group.read[i] for i in sorted(order)]
    return Group(group.name, read, [group.patients[i] for i in sorted(order)])


def study(workdir: pathlib.Path, data: pathlib.Path, most: int) -> None:
    """Prints the table of one run."""
    opened = open_run(workdir)
    start = time.perf_counter()
    gate = gate_of_run.of_run(opened)
    seconds = time.perf_counter() - start
    print(f"\n{opened.recipe.trained_on}: {gate.films} films, {seconds:.0f} s")
    print(f"| films | n | refused | {' | '.join(CHECKS)} |")
    print("|---|---|---|" + "---|" * len(CHECKS))
    config = opened.exp.config
    home = predictions.home(predictions.read(workdir))
    test = roles.open_splits(config.data, home).test
    own = Group(
        "own test split",
        [lambda row=row: _stored(test, int(row)) for row in test.rows],
        [str(patient) for patient in test.table["patient_id"]],
    )
    own = some(own, most)
    within = _WITHIN.get(config.data.dataset.split("/")[0], ())
    groups = [g for g in gate_films.collections(data) if g.name not in within]
    for group in [own, *groups, gate_films.phantoms(most), *gate_films.others()]:
        chosen = some(group, most)
        hits = refused(gate, opened, [read() for read in chosen.read])
        print(row(group.name, hits, chosen.patients), flush=True)
    pixels = [read() for read in own.read]
    for name, alter in ALTERED.items():
        altered = [np.ascontiguousarray(alter(film)) for film in pixels]
        print(row(name, refused(gate, opened, altered), own.patients), flush=True)


def _stored(split: Split, row: int) -> np.ndarray:
    data = np.frombuffer(split.read(row)["image"], np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(argv[1], "an argument", "use flags only: see --help")
    data = pathlib.Path(flags.FLAGS.data)
    if not data.is_dir():
        raise InputError("--data", f"there is no folder {data}", "name the real films")
    for workdir in flags.FLAGS.runs:
        study(pathlib.Path(workdir), data, flags.FLAGS.films)


if __name__ == "__main__":
    flags.DEFINE_list("runs", [], "workdirs of finished runs")
    flags.DEFINE_string("data", "../shared/data", "the real films in their layouts")
    flags.DEFINE_integer("films", 100, "of each kind, at most")
    command.run(main)
