"""One training on 1, 2, 4 and 8 devices that share the same cores.

    python -m benchmarks.scaling [--devices=1,2,4,8] [--repeats=3]

CPU devices are virtual: they share its cores, so nothing can get faster. What is
measured is the cost of splitting: images/s of the quickstart's training (a batch of 32)
from its own log, without evaluations and compilation, against one device. The last row
has two processes with a device each, over a local network.
"""

from __future__ import annotations

import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile

from absl import flags

from benchmarks import films, machine
from tfds_builders.common import command, places


def start(data_dir: str, workdir: str, devices: int, *arguments: str):
    """Trains for 3 epochs in a process with `devices` devices."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "cxr_jax.main", "--config=configs/quickstart.py"),
            *(f"--workdir={workdir}", "--config.data.phantom=0"),
            *(f"--config.data.data_dir={data_dir}", "--config.total=3 epochs"),
            *("--config.every.log=1 epochs", "--config.every.eval=3 epochs"),
            *("--config.resamples=0", *arguments),
        ],
        env={**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)},
        stdout=subprocess.DEVNULL,
    )


def rate(workdir: str, processes: list[subprocess.Popen]) -> float:
    """Returns images per second over all steps but the first, once they have ended."""
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit(f"exit codes {codes}")
    rows = pathlib.Path(workdir, "metrics.jsonl").read_text().splitlines()
    speeds = [json.loads(row).get("images_per_second") for row in rows]
    return [speed for speed in speeds if speed][-1]


def pair(data_dir: str, workdir: str) -> list[subprocess.Popen]:
    """Starts two processes that train together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    together = (f"--coordinator={address}", "--processes=2")
    return [
        start(data_dir, workdir, 1, *together, f"--process={index}")
        for index in range(2)
    ]


def run(folder: pathlib.Path, counts: list[int], repeats: int) -> str:
    """Returns the table."""
    data_dir = films.draw(folder, "brixia/256", 256, 600)
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        for count in counts:
            with tempfile.TemporaryDirectory() as workdir:
                speed = rate(workdir, [start(data_dir, workdir, count)])
            found.setdefault(f"1 process, {count} device(s)", []).append(speed)
        with tempfile.TemporaryDirectory() as workdir:
            speed = rate(workdir, pair(data_dir, workdir))
        found.setdefault("2 processes, 1 device each", []).append(speed)
    alone = statistics.median(next(iter(found.values())))
    return "\n".join(
        f"{name:28}{statistics.median(speeds):8.0f} images/s  "
        f"{min(speeds):6.0f} .. {max(speeds):6.0f}  n={len(speeds)}"
        f"{statistics.median(speeds) / alone:7.2f}"
        for name, speeds in found.items()
    )


def main(argv: list[str]) -> None:
    values = flags.FLAGS
    with tempfile.TemporaryDirectory() as temporary:
        folder = places.expanded(values.folder or temporary).absolute()
        print(machine.describe(), flush=True)
        print(run(folder, [int(n) for n in values.devices], values.repeats))


if __name__ == "__main__":
    flags.DEFINE_list("devices", ["1", "2", "4", "8"], "numbers of devices")
    flags.DEFINE_integer("repeats", 3, "rounds")
    flags.DEFINE_string("folder", "", "keep the synthetic images here")
    command.run(main)
