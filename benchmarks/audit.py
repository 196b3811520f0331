"""Auditing a dataset: seconds and memory of the whole command.

    python -m benchmarks.audit [--films=21165] [--repeats=3] [--folder=DIR]

The films are drawn, in the format of the COVID-19 Radiography Database (299 pixels,
four classes, a tenth of the COVID films near-copies), and built into a dataset; that
takes minutes, is not timed, and is kept in --folder for the next time. Every run is
the command as a user types it, in a fresh process, imports included; a second row has
a process that only reads and decodes every image, for comparison.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags, logging

from benchmarks import films
from tfds_builders.common import places

DATASET = "covid_radiography/299"
_DECODE = (
    "import sys; from cxr_jax.data import fingerprints; from cxr_jax.data import builders\n"
    "split = builders.load(builders.open_builder(*sys.argv[1:]), 'all')\n"
    "for row in split.rows: fingerprints.decode(split, row)\n"
)


def commands(data_dir: str, workdir: Path) -> dict[str, list[str]]:
    """Returns {what is timed: the command}."""
    return {
        "audit": [
            sys.executable,
            "-m",
            "cxr_jax.main",
            "--mode=audit",
            f"--dataset={DATASET}",
            f"--data_dir={data_dir}",
            f"--workdir={workdir}",
        ],
        "decoding alone, one thread": [
            sys.executable,
            "-c",
            _DECODE,
            DATASET,
            data_dir,
        ],
    }


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds, and peak memory in MB, of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1 is leakage
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - start, used.ru_maxrss / 1024


def run(folder: Path, count: int, repeats: int) -> str:
    """Draws the films, times the commands in turn, and returns the table."""
    data_dir = films.draw(folder / str(count), DATASET, 299, count)
    found: dict[str, list[tuple[float, float]]] = {}
    load = os.getloadavg()[0]
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as workdir:
            for name, command in commands(data_dir, Path(workdir)).items():
                found.setdefault(name, []).append(measure(command))
    lines = [
        f"{count:,} films of 299 pixels, {os.cpu_count()} cores, load {load:.1f} before",
        f"{'':28}{'seconds':>9}{'range':>16}{'per 1,000':>11}{'MB':>7}{'n':>4}",
    ]
    for name, runs in found.items():
        seconds = [one for one, _ in runs]
        middle = statistics.median(seconds)
        span = f"{min(seconds):.1f}-{max(seconds):.1f}"
        peak = max(megabytes for _, megabytes in runs)
        lines.append(
            f"{name:28}{middle:9.1f}{span:>16}{1000 * middle / count:11.2f}"
            f"{peak:7.0f}{len(runs):4}"
        )
    return "\n".join(lines)


def main(_) -> None:
    logging.set_verbosity(logging.ERROR)
    values = flags.FLAGS
    with tempfile.TemporaryDirectory() as temporary:
        folder = places.expanded(values.folder or temporary)
        print(run(folder, values.films, values.repeats))


if __name__ == "__main__":
    flags.DEFINE_integer(
        "films", 21_165, "number of films; the default is that of the real set"
    )
    flags.DEFINE_integer("repeats", 3, "rounds")
    flags.DEFINE_string("folder", "", "keep the drawn dataset here")
    app.run(main)
