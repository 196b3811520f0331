"""K members in one program against K runs one after another.

    python -m benchmarks.members [--members=1,2,4,8,16] [--config=configs/quickstart.py]

Whole commands as a user types them, imports, compilation (from a warm cache), evaluation
and results included; a run alone is timed in turns with the members, and K runs one
after another are K times its median. Drawing the images is not timed.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from benchmarks import films, machine
from tfds_builders.common import command, places


def seconds(arguments: list[str], cache: str) -> float:
    """Returns the seconds of one command."""
    start = time.perf_counter()
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
    subprocess.run(arguments, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def training(
    config: str, data_dir: str, epochs: int, workdir: str, members: int
) -> list[str]:
    """Returns the command; 0 members means a single run."""
    return [
        *(sys.executable, "-m", "cxr_jax.main", f"--config={config}"),
        f"--workdir={workdir}",
        "--config.data.phantom=0",
        f"--config.data.data_dir={data_dir}",
        f"--config.total={epochs} epochs",
        *([f"--members={members}"] if members else []),
    ]


def run(
    folder: pathlib.Path, config: str, counts: list[int], epochs: int, repeats: int
) -> str:
    """Returns the table."""
    data_dir = films.draw(folder, "brixia/256", 256, 600)
    found: dict[int, list[float]] = {count: [] for count in (0, *counts)}
    for turn in range(repeats + 1):
        for count, times in found.items():
            with tempfile.TemporaryDirectory() as workdir:
                arguments = training(config, data_dir, epochs, workdir, count)
                took = seconds(arguments, str(folder / "compiled"))
            if turn:  # the first compiles
                times.append(took)
    alone = statistics.median(found.pop(0))
    lines = [
        f"{config}, {epochs} epochs, n = {repeats}; one run alone: {alone:.1f} s",
        f"{'members':>8}{'seconds':>10}{'range':>16}{'alone, K times':>17}{'ratio':>8}",
    ]
    for count, times in found.items():
        middle, apart = statistics.median(times), count * alone
        spread = f"{min(times):.1f}-{max(times):.1f}"
        lines.append(
            f"{count:8}{middle:10.1f}{spread:>16}{apart:17.1f}{middle / apart:8.2f}"
        )
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    values = flags.FLAGS
    with tempfile.TemporaryDirectory() as temporary:
        folder = places.expanded(values.folder or temporary).absolute()
        print(machine.describe(), flush=True)
        counts = [int(count) for count in values.members]
        print(run(folder, values.config, counts, values.epochs, values.repeats))


if __name__ == "__main__":
    flags.DEFINE_list(
        "members", ["1", "2", "4", "8", "16"], "numbers of members side by side"
    )
    flags.DEFINE_string("config", "configs/quickstart.py", "images of brixia/256")
    flags.DEFINE_integer("epochs", 5, "epochs of each training")
    flags.DEFINE_integer("repeats", 3, "rounds")
    flags.DEFINE_string("folder", "", "keep the synthetic images here")
    command.run(main)
