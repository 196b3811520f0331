"""What an epoch of the full sets costs, from a small timed sample.

    python -m benchmarks.full_sets [--drawn=96] [--steps=4] [--sets=brixia,covidgr]

Trains the config of each set on synthetic films of its layout for one step and for some
more, after a run that fills the compilation cache. What the longer one takes more, of
processor time, is the cost of its films: unlike seconds on the clock it hardly depends on
what else the machine does. An epoch is then the films of train (70 %, as the builders
deal) at that cost on `--cores` that do nothing else. Evaluation on val, about a thirtieth
of it, is left out. Memory is the most that the process took, plus what the decoded films
of the full set take beyond those of the sample: `data.residency` keeps them on disk where
there is not enough. On a GPU: not measured.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import NamedTuple

from absl import flags

from benchmarks import machine
from cxr_jax.runs import text_table
from tfds_builders.common import command, places

_TRAIN = 0.7


class FullSet(NamedTuple):
    """A release and the config that trains on it.

    Attributes:
      films: of the release.
      config: with its arguments, `phantom` among them.
      side, values: of a decoded film, and bytes of a pixel.
    """

    films: int
    config: str
    side: int
    values: int


SETS = {
    "brixia": FullSet(4695, "configs/brixia.py:phantom", 512, 2),
    "covidgr": FullSet(852, "configs/covidgr.py:phantom", 512, 1),
    "radiography": FullSet(21165, "configs/radiography.py:phantom", 299, 1),
    "covidx8b": FullSet(
        30482, "configs/protocols.py:protocol=covidx8b,phantom", 512, 1
    ),
}
_FILMS = flags.DEFINE_integer("drawn", 96, "Synthetic films to draw.")
_STEPS = flags.DEFINE_integer("steps", 4, "Steps to time.")
_CORES = flags.DEFINE_integer("cores", 2, "Of the machine that the time is given for.")
_NAMES = flags.DEFINE_list("sets", list(SETS), "Which of them.")
_FOLDER = flags.DEFINE_string("folder", "", "Keeps the runs here.")


class Used(NamedTuple):
    """Processor time in seconds and most memory in bytes of a process, and its batch."""

    seconds: float
    memory: int
    batch: int


def used(own: FullSet, workdir: pathlib.Path, films: int, steps: int) -> Used:
    """Trains so many steps in a process of its own."""
    arguments = [
        *(sys.executable, "-m", "cxr_jax.main", f"--config={own.config}"),
        f"--workdir={workdir}",
        f"--config.data.phantom={films}",
        f"--config.total={steps} steps",
        *(f"--config.every.{what}={steps} steps" for what in ("eval", "checkpoint")),
        "--config.resamples=0",
        "--config.report=False",
    ]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    batch = json.loads((workdir / "config.json").read_text())["batch_size"]
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, batch)


def per_film(one: Used, more: Used, steps: int) -> float:
    """Core-seconds that a film of training takes; the runs differ by so many steps."""
    return (more.seconds - one.seconds) / (steps * one.batch)


def scaled(
    own: FullSet, cost: float, memory: int, sample: int, cores: int
) -> tuple[float, float]:
    """(minutes of an epoch, GB of memory) of the full set.

    Args:
      cost: core-seconds of a film.
      memory: bytes of the timed run, of `sample` films.
    """
    film = own.side**2 * own.values
    minutes = own.films * _TRAIN * cost / cores / 60
    return minutes, (memory + (own.films - sample) * film) / 1e9


def measured(own: FullSet, folder: pathlib.Path) -> tuple[float, int]:
    """(core-seconds of a film, most memory in bytes) of three runs on the same phantom."""
    films, steps = _FILMS.value, _STEPS.value
    used(own, folder / "first", films, 1)  # compiles
    one = used(own, folder / "one", films, 1)
    more = used(own, folder / "more", films, 1 + steps)
    return per_film(one, more, steps), more.memory


def main(argv: list[str]) -> None:
    print(machine.describe("jax", "jaxlib"))
    head = ["set", "films", "config", "core-s a film", "an epoch", "memory"]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = places.expanded(_FOLDER.value or temporary)
        for name in _NAMES.value:
            own = SETS[name]
            cost, peak = measured(own, folder / name)
            minutes, memory = scaled(own, cost, peak, _FILMS.value, _CORES.value)
            films, time = f"{own.films:,}", f"{minutes:.1f} min"
            rows.append(
                [name, films, own.config, f"{cost:.3f}", time, f"{memory:.1f} GB"]
            )
            print(f"{name}: {cost:.3f} core-seconds a film", flush=True)
    print("\n".join(text_table.lines(head, rows)))


if __name__ == "__main__":
    command.run(main)
