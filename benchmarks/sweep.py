"""What a launcher costs a run: python -m benchmarks.sweep --runs=100 --parallel=1,2.

Runs that do nothing, in processes as bare as Python has them, are started by the
launcher and by a plain loop; the difference is the launcher's.
"""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from absl import app, flags

from benchmarks import machine
from cxr_jax.runs import own_digest
from launch import jobs, local, slots
from launch.live_table import LiveTable

_RUNS = flags.DEFINE_integer("runs", 100, "Runs of a sweep.")
_PARALLEL = flags.DEFINE_list("parallel", ["1", "2"], "Processes at a time.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Times that each is measured.")

# Leaves a sealed, empty result.
_RUN = f"""import sys
open(sys.argv[1] + '/results.json', 'w').write({json.dumps(own_digest.seal({}))!r})"""


def main(_) -> None:
    print(machine.describe())
    for parallel in map(int, _PARALLEL.value):
        pairs = [measure(parallel) for _ in range(_REPEATS.value)]
        costs = [1000 * (mine - bare) / _RUNS.value for mine, bare in pairs]
        mine, bare = map(statistics.median, zip(*pairs, strict=True))
        print(
            f"{_RUNS.value} runs, {parallel} at a time: launcher {mine:.2f} s, loop "
            f"{bare:.2f} s, overhead {statistics.median(costs):.1f} ms a run "
            f"({min(costs):.1f} to {max(costs):.1f}, n = {len(costs)})"
        )


def measure(parallel: int) -> tuple[float, float]:
    """Seconds of the launcher, and of a loop that starts the same processes."""
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        made = [_job(folder, f"run{k}") for k in range(_RUNS.value)]
        for job in made:  # the loop needs the folders too
            (folder / job.parts[0].folder).mkdir()
        began = time.monotonic()
        places = slots.share(parallel, slots.cores(), [])
        with contextlib.redirect_stdout(io.StringIO()):
            found, _ = local.run(folder, made, places, LiveTable(terminal=False))
        mine = time.monotonic() - began
        assert all(each.state == "finished" for each in found.values())
        began = time.monotonic()
        running: list[subprocess.Popen] = []
        for job in made:
            if len(running) == parallel:
                running.pop(0).wait()
            running.append(subprocess.Popen(job.command))
        for process in running:
            process.wait()
        return mine, time.monotonic() - began


def _job(folder: pathlib.Path, name: str) -> jobs.Job:
    part = jobs.Part(name, name, name, {})
    command = (sys.executable, "-I", "-S", "-c", _RUN, str(folder / name))
    return jobs.Job((part,), command, f"{name}/log.txt")


if __name__ == "__main__":
    app.run(main)
