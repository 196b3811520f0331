"""Images per second of several ways to read a prepared dataset.

python -m benchmarks.read [--repeats=5]; README.md says what is measured.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pathlib
import statistics
import tempfile
import time
from typing import NamedTuple

from absl import flags

from benchmarks import films as films_lib
from benchmarks import machine, readers
from benchmarks.films import Films
from tfds_builders.common import command
from tfds_builders.common.errors import InputError

_SIDES = {256: "covid_radiography/256", 512: "covidgr/512"}
_16_BIT = "brixia/256"
# Batches that a reader may hold ready in its queues are discarded before each timing;
# the longest queue is 64 batches.
_UNTIMED = 72

FROM_DISK = (
    readers.ours,
    readers.previous,
    readers.plain,
    readers.torch_records,
    readers.torch_files,
    readers.tensorflow_records,
)
FROM_MEMORY = (readers.ours_held, readers.torch_held, readers.tensorflow_held)

_PACKAGES = ("grain", "opencv-python-headless", "torch", "tensorflow-cpu", "tensorflow")


class Format(NamedTuple):
    """A format to measure: what is read, and by which readers."""

    dataset: str
    side: int
    readers: tuple
    deflated: bool = False


FORMATS = {
    "PNG 256 uint8": Format(_SIDES[256], 256, FROM_DISK),
    "PNG 256 uint8, deflated": Format(_SIDES[256], 256, FROM_DISK, deflated=True),
    "PNG 512 uint8": Format(_SIDES[512], 512, FROM_DISK),
    "PNG 512 uint8, deflated": Format(_SIDES[512], 512, FROM_DISK, deflated=True),
    "PNG 256 uint16": Format(_16_BIT, 256, FROM_DISK),
    "memory 256 uint8": Format(_SIDES[256], 256, FROM_MEMORY),
    "memory 512 uint8": Format(_SIDES[512], 512, FROM_MEMORY),
}


class Runner:
    """A reader in its own process, which is idle between timings."""

    def __init__(self, reader, films: Films, batches: int, untimed: int):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, reader, films, batches, untimed)
        )
        self._process.start()
        theirs.close()
        self.problem = self._pipe.recv()

    def rate(self) -> float:
        """Returns the images per second of the next timed run."""
        self._pipe.send("go")
        return self._pipe.recv()

    def close(self) -> None:
        self._pipe.close()
        self._process.join()


def _serve(pipe, reader, films: Films, batches: int, untimed: int) -> None:
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
    try:
        stream = reader(films)
        check(next(stream), films)
    except ModuleNotFoundError as error:
        pipe.send(f"{error.name} is not installed")
        return
    pipe.send("")
    try:
        while pipe.recv():
            pipe.send(rate(stream, films, batches, untimed))
    except EOFError:
        return


def check(batch, films: Films) -> None:
    """Checks that every image of a batch is one of the films, bit for bit."""
    side = films.side
    if batch.shape != (films.batch_size, side, side, 1):
        raise AssertionError(f"a batch of shape {batch.shape}")
    if not {hash(image.tobytes()) for image in batch} <= films.hashes():
        raise AssertionError("an image that is none of the films")


def rate(stream, films: Films, batches: int, untimed: int) -> float:
    """Returns images per second over `batches`, after `untimed` ones."""
    for _ in itertools.islice(stream, untimed):
        pass
    start = time.perf_counter()
    for _ in itertools.islice(stream, batches):
        pass
    return batches * films.batch_size / (time.perf_counter() - start)


def measure(
    films: Films, chosen, *, repeats: int, batches: int, untimed: int = _UNTIMED
) -> dict[str, list[float] | str]:
    """Returns {reader: its rates, or why there are none}, timed in turns.

    Args:
      films: see `benchmarks.films`.
      chosen: functions of `readers`.
      repeats: timings of each.
      batches: per timing.
      untimed: batches before each, more than a reader keeps ready.
    """
    runners = {r.__name__: Runner(r, films, batches, untimed) for r in chosen}
    rates: dict = {name: runner.problem or [] for name, runner in runners.items()}
    running = [name for name in runners if not rates[name]]
    for turn in range(repeats):
        first = turn % len(running)
        for name in running[first:] + running[:first]:
            rates[name].append(runners[name].rate())
    for runner in runners.values():
        runner.close()
    return rates


def table(rates: dict[str, list[float] | str]) -> list[str]:
    """Formats median, range, n, and how many times faster the first reader is."""
    first, *_ = rates.values()
    lines = []
    for name, found in rates.items():
        if isinstance(found, str):
            lines.append(f"  {name:20} {found}")
            continue
        middle = statistics.median(found)
        ratio = statistics.median(first) / middle
        lines.append(
            f"  {name:20} {middle:8,.0f}  {min(found):8,.0f} .. {max(found):8,.0f}"
            f"  n={len(found)}  {ratio:5.2f}"
        )
    return lines


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(argv[1], "an argument", "use flags only: see --help")
    values = flags.FLAGS
    for name in values.format:
        if name not in FORMATS:
            raise InputError(
                "--format", f"{name!r} is unknown", f"there are: {'; '.join(FORMATS)}"
            )
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(values.workdir or scratch)
        print(machine.describe(*_PACKAGES))
        for name in values.format or FORMATS:
            form = FORMATS[name]
            data_dir = films_lib.draw(folder, form.dataset, 2 * form.side, values.films)
            if form.deflated:
                data_dir = films_lib.deflated(data_dir, form.dataset)
            films = Films(data_dir, form.dataset, form.side, values.records, 32)
            rates = measure(
                films, form.readers, repeats=values.repeats, batches=values.batches
            )
            print(f"\n{name}: images/s, median, min .. max, ours / theirs")
            print("\n".join(table(rates)), flush=True)


if __name__ == "__main__":
    flags.DEFINE_integer("repeats", 5, "timings of each reader, taken in turns")
    flags.DEFINE_integer("films", 300, "number of synthetic films")
    flags.DEFINE_integer("records", 4096, "records per epoch; the films repeat")
    flags.DEFINE_integer("batches", 96, "batches per timing, of 32 images each")
    flags.DEFINE_multi_string("format", [], f"one of: {'; '.join(FORMATS)}; all")
    flags.DEFINE_string("workdir", "", "keep the films here")
    command.run(main)
