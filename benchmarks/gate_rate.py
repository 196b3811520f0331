"""How many films of new patients of the same source a gate refuses: all checks together.

    python -m benchmarks.gate_rate --run=RUN [--group=NIH] [--data=../shared/data]
        [--fitted=62,300] [--repeats=5]

Patients of one collection, which the run should not have seen, are drawn at random until
so many films are there; a gate is fitted to them with the run's features and judges the
films of all other patients. Prints what the limits promise and what was refused.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np
from absl import flags, logging

from benchmarks import gate_films
from cxr_jax.gate.fit import RATE, fit
from cxr_jax.gate.fitted import CHECKS, MAPS
from cxr_jax.gate.judge import judge
from cxr_jax.predict import squares
from cxr_jax.predict.of_run import open_run
from cxr_jax.rng import generator
from tfds_builders.common import command
from tfds_builders.common.errors import InputError

LIMITED = len(MAPS) + 2  # checks whose limit is fitted: view and unlike_training too


def promised(films: int) -> float:
    """The share of films of new patients that the limits let refuse, all together."""
    return LIMITED * max(int(RATE * (films + 1)), 1) / (films + 1)


def drawn(patients: list[str], count: int, number: int) -> np.ndarray:
    """Which films are fitted to, bool: all those of some patients, `count` or a few more."""
    names, patient = np.unique(patients, return_inverse=True)
    order = generator(number, f"gate rate {count}").permutation(len(names))
    sizes = np.bincount(patient)[order]
    most = int(np.searchsorted(sizes.cumsum(), count)) + 1
    return np.isin(patient, order[:most])


class Films(NamedTuple):
    """Of one collection: pixels, their patients, features [n, D] of the network."""

    pixels: list[np.ndarray]
    patients: list[str]
    features: np.ndarray


def refused(films: Films, chosen: np.ndarray, seed: int) -> np.ndarray:
    """Which check finds which film that is not chosen: bool [n, checks]."""
    of = {id(f): row for f, row in zip(films.pixels, films.features, strict=True)}
    fitted = np.flatnonzero(chosen)
    gate = fit(
        [films.pixels[place] for place in fitted],
        lambda some: np.stack([of[id(film)] for film in some]),
        seed,
        patients=[films.patients[place] for place in fitted],
    )
    found = [
        {each.check for each in judge(gate, films.pixels[i], of_i).findings}
        for i, of_i in enumerate(films.features)
        if not chosen[i]
    ]
    return np.array([[check in one for check in CHECKS] for one in found])


def row(count: int, hits: list[np.ndarray]) -> str:
    """A row of the table, of so many draws."""
    rates = [each.any(1).mean() for each in hits]
    judged = np.concatenate(hits)
    by_check = " | ".join(f"{share:.1%}" if share else "" for share in judged.mean(0))
    return (
        f"| {count} | {len(judged):,} | {promised(count):.1%} | {np.mean(rates):.1%} | "
        f"{min(rates):.1%} to {max(rates):.1%} | {by_check} |"
    )


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(argv[1], "an argument", "use flags only: see --help")
    given = flags.FLAGS
    logging.set_verbosity(logging.ERROR)  # the libraries' own
    data = pathlib.Path(given.data)
    if not data.is_dir():
        raise InputError("--data", f"there is no folder {data}", "name the real films")
    groups = {each.name: each for each in gate_films.collections(data)}
    if given.group not in groups:
        known = ", ".join(groups)
        raise InputError("--group", f"is {given.group!r}", f"choose one of: {known}")
    opened, group = open_run(pathlib.Path(given.run)), groups[given.group]
    pixels = [read() for read in group.read]
    shown = [squares.square(film, opened.recipe.preprocess) for film in pixels]
    features = opened.network(np.stack(shown)).features
    films = Films(pixels, group.patients, features)
    print(f"{given.group}, {len(pixels)} films; {given.repeats} draws")
    print(f"| fitted to | judged | promised | refused | draws | {' | '.join(CHECKS)} |")
    print("|---|---|---|---|---|" + "---|" * len(CHECKS))
    for count in map(int, given.fitted):
        draws = range(given.repeats)
        hits = [refused(films, drawn(films.patients, count, i), i) for i in draws]
        print(row(count, hits), flush=True)


if __name__ == "__main__":
    flags.DEFINE_string("run", "", "Workdir of a finished run.")
    flags.DEFINE_string("group", "NIH", "A collection of gate_films.")
    flags.DEFINE_string("data", "../shared/data", "The films, with MANIFEST.csv.")
    flags.DEFINE_list("fitted", ["62", "300"], "Films that a gate is fitted to.")
    flags.DEFINE_integer("repeats", 5, "Draws of patients.")
    command.run(main)
