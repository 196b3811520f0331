"""Films a second of --mode=predict, and what share of the time decoding takes.

    python -m benchmarks.predict --checkpoint=RUN_OR_BUNDLE [--films=128] [--repeats=3]

The films are drawn: one chest of 2,048 x 2,048 pixels as DICOM (16 bits, not compressed)
and as PNG (8 bits), copied. Each figure is of a fresh process that may use one core or
two, from reading to the picture on the disk; imports and the opening of the model are
not in it. The CPU time of a film, and the share that reading it alone takes in the same
process, hardly depend on what else runs; the films a second do.
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple

import cv2
import numpy as np
from absl import app, flags

from benchmarks import machine

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Run or bundle.", required=True)
_FILMS = flags.DEFINE_integer(
    "films", 128, "Films, fewer than 400: above, others processes read."
)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Rounds.")
_SIDE = 2048

# In a process of its own, so that its cores can be limited before anything starts.
_TIMED = """
import os, sys, time, pathlib
os.sched_setaffinity(0, range(int(sys.argv[1])))
os.cpu_count = lambda: int(sys.argv[1])
from cxr_jax import bundle
from cxr_jax.predict import batch, inputs, reading
from tfds_builders.common.build.parallel import Workers
from functools import partial
folder, checkpoint, output = sys.argv[2:]
if bundle.is_bundle(pathlib.Path(checkpoint)):
    scorer = bundle.load(checkpoint).scorer
else:
    from cxr_jax.devices import settings
    from cxr_jax.predict import opening
    settings.apply()
    scorer = opening.scorer(pathlib.Path(checkpoint), "off")
mode = "refuse" if scorer.gate else "off"
items = inputs.find([folder]).items
one = scorer._replace(gate=None)
batch._score(one, items[:1], 0, pathlib.Path(output), "off")  # compiles
task = reading.Task(scorer.recipe.preprocess, scorer.gate is not None, True)
def seconds(function):
    start, used = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - used
def decode():
    with Workers(0) as workers:
        for _ in workers.in_order(partial(reading.read, task), items, reading.crashed):
            pass
_, decoding = seconds(decode)
whole, used = seconds(lambda: batch._score(scorer, items, 0, pathlib.Path(output), mode))
print("SECONDS", whole, used, decoding)
"""


def draw(folder: pathlib.Path, suffix: str, count: int) -> None:
    """Copies of one film."""
    from tfds_builders.phantom import write_release

    folder.mkdir()
    with tempfile.TemporaryDirectory() as place:
        release = write_release("brixia", pathlib.Path(place) / "r", 20, size=_SIDE)
        source = max(release.rglob("*.dcm"), key=lambda path: path.stat().st_size)
        first = folder / f"film0000{suffix}"
        if suffix == ".dcm":
            shutil.copy(source, first)
        else:
            from tfds_builders.common.film import read_film

            pixels = np.rint(read_film(source, 16).pixels / 257).astype(np.uint8)
            cv2.imwrite(str(first), pixels)
    for number in range(1, count):
        shutil.copy(first, folder / f"film{number:04}{suffix}")


class Measured(NamedTuple):
    """Of one process: films a second, CPU milliseconds of a film, and of reading it."""

    rate: float
    used: float
    decoding: float


def measure(folder: pathlib.Path, cores: int, place: str) -> Measured:
    """Scores the films of a folder."""
    output = pathlib.Path(place) / "out"
    shutil.rmtree(output, ignore_errors=True)
    (output / "overlays").mkdir(parents=True)
    (output / "predictions.part.csv").touch()
    command = [sys.executable, "-c", _TIMED, str(cores), str(folder)]
    command += [_CHECKPOINT.value, str(output)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("SECONDS")]
    if not lines:
        sys.exit(done.stderr)
    whole, used, decoding = map(float, lines[0].split()[1:])
    count = _FILMS.value
    return Measured(count / whole, 1000 * used / count, 1000 * decoding / count)


def main(argv) -> None:
    """Prints the table."""
    del argv
    print(machine.describe("jax", "onnxruntime", "opencv-python-headless"))
    found: dict[tuple[str, int], list[Measured]] = {}
    with tempfile.TemporaryDirectory() as place:
        folders = {kind: pathlib.Path(place) / kind for kind in ("DICOM", "PNG")}
        for kind, folder in folders.items():
            draw(folder, ".dcm" if kind == "DICOM" else ".png", _FILMS.value)
        for _ in range(_REPEATS.value):
            for kind, folder in folders.items():
                for cores in (1, min(2, os.cpu_count() or 1)):
                    result = measure(folder, cores, place)
                    found.setdefault((kind, cores), []).append(result)
    print("| films | cores | films/s | CPU ms a film | of it decoding |")
    print("|---|---|---|---|---|")
    for (kind, cores), results in found.items():
        rates = [each.rate for each in results]
        used = statistics.median(each.used for each in results)
        share = statistics.median(each.decoding / each.used for each in results)
        print(
            f"| {kind} | {cores} | {statistics.median(rates):.1f} "
            f"({min(rates):.1f}-{max(rates):.1f}) | {used:.0f} | {100 * share:.0f} % |"
        )


if __name__ == "__main__":
    app.run(main)
