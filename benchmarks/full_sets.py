"""What an epoch of the full sets costs, from a small timed sample.

    python -m benchmarks.full_sets [--films=128] [--steps=6] [--sets=brixia,covidgr]

Trains the config of each set on synthetic films of its layout for a few steps after the
first, which compiles, and takes the median of the images/s that its log has. An epoch is
then so many films of train (70 %, as the builders deal) at that speed, and their
evaluation on val (10 %) at four times the speed is left out: it is a thirtieth. Memory
is the most that the process took, plus what the decoded films of the full set take
beyond those of the sample: `data.residency` keeps them on disk where there is not enough.
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
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
_FILMS = flags.DEFINE_integer("films", 128, "Synthetic films to draw.")
_STEPS = flags.DEFINE_integer("steps", 6, "Steps to time, after two that are not.")
_NAMES = flags.DEFINE_list("sets", list(SETS), "Which of them.")
_FOLDER = flags.DEFINE_string("folder", "", "Keeps the runs here.")


class Cost(NamedTuple):
    """Images per second of training, and most memory in bytes."""

    speed: float
    memory: int


def timed(own: FullSet, workdir: pathlib.Path, films: int, steps: int) -> Cost:
    """Trains `steps` steps after two in a process of its own, and reads its log."""
    arguments = [
        *(sys.executable, "-m", "cxr_jax.main", f"--config={own.config}"),
        f"--workdir={workdir}",
        f"--config.data.phantom={films}",
        f"--config.total={steps + 2} steps",
        "--config.every.log=1 steps",
        *(
            f"--config.every.{what}={steps + 2} steps"
            for what in ("eval", "checkpoint")
        ),
        "--config.resamples=0",
        "--config.report=False",
    ]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(speed(workdir), usage.ru_maxrss * unit)


def speed(workdir: pathlib.Path) -> float:
    """The median of the images per second in a log, without the first two steps."""
    rows = (workdir / "metrics.jsonl").read_text().splitlines()
    found = [
        row["images_per_second"]
        for row in map(json.loads, rows)
        if row["step"] > 2 and row.get("images_per_second")
    ]
    return statistics.median(found)


def scaled(own: FullSet, cost: Cost, sample: int) -> tuple[float, float]:
    """(minutes of an epoch, GB of memory) of the full set.

    sample: films that were drawn for the timed runs.
    """
    film = own.side**2 * own.values
    memory = cost.memory + (own.films - sample) * film
    return own.films * _TRAIN / cost.speed / 60, memory / 1e9


def main(argv: list[str]) -> None:
    print(machine.describe("jax", "jaxlib"))
    head = ["set", "films", "config", "images/s", "an epoch", "60 epochs", "memory"]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = places.expanded(_FOLDER.value or temporary)
        for name in _NAMES.value:
            own = SETS[name]
            cost = timed(own, folder / name, _FILMS.value, _STEPS.value)
            minutes, memory = scaled(own, cost, _FILMS.value)
            rows.append(
                [
                    name,
                    f"{own.films:,}",
                    own.config,
                    f"{cost.speed:.1f}",
                    f"{minutes:.1f} min",
                    f"{minutes:.1f} h",  # 60 of them
                    f"{memory:.1f} GB",
                ]
            )
            print(f"{name}: {cost.speed:.1f} images/s", flush=True)
    print("\n".join(text_table.lines(head, rows)))


if __name__ == "__main__":
    command.run(main)
