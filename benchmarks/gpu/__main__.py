"""Everything that has a goal on a GPU, in one call that may be cut at any time.

    python -m benchmarks.gpu --minutes=9 --out=DIR [--rows='steps resnet50,idle']
    python -m benchmarks.gpu --smoke --out=DIR          # any CPU, two minutes

After every row it writes DIR/results.json and DIR/table.md; the same command goes on
with the rows that are missing there, or that had a problem.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys
import time
from importlib.util import find_spec
from typing import Any

from absl import flags

from benchmarks import machine
from benchmarks.gpu import markdown, rows
from benchmarks.gpu.child import Lost
from benchmarks.gpu.rows import Row
from benchmarks.gpu.sizes import FULL, SMOKE, Sizes
from tfds_builders.common import command, files, lock, places
from tfds_builders.common.errors import InputError

_WANTED = ("torch", "torchvision")
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "torchvision", "numpy")
# A row is not begun with less.
_LEAST_SECONDS = 10.0


def lacking() -> list[str]:
    """What is not installed, and what is missing for that."""
    return [
        f"{name} is not installed: PyTorch's figures and all ratios will be missing"
        for name in _WANTED
        if find_spec(name) is None
    ]


def measure(
    sizes: Sizes, out: pathlib.Path, minutes: float, chosen: list[str], name: str
) -> dict[str, Any]:
    """Measures row after row until the time is up; -> the results.

    Args:
      out: folder of the results; what it has already is kept.
      chosen: beginnings of names of rows; none means all.
      name: of the sizes.
    """
    end = time.monotonic() + 60 * minutes
    results = _begun(out / "results.json", name)
    planned = rows.plan(sizes, out / "films")
    for text in chosen:
        if not any(row.name.startswith(text) for row in planned):
            known = ", ".join(row.name for row in planned)
            raise InputError("--rows", f"{text!r} begins no row", f"there are: {known}")
    for row in planned:
        if chosen and not row.name.startswith(tuple(chosen)):
            continue
        if "problem" not in results["rows"].get(row.name, {"problem": ""}):
            print(f"{row.name}: measured before", flush=True)
            continue
        left = end - time.monotonic()
        if left < min(_LEAST_SECONDS, row.seconds):
            found = {"problem": "not begun: the time was up"}
        else:
            found = _one(row, left, out / "log.txt")
        results["rows"][row.name] = found
        _write(out, results)
        print(f"{row.name}: {found.get('problem', 'measured')}", flush=True)
    return results


def _one(row: Row, left: float, log: pathlib.Path) -> dict[str, Any]:
    start = time.monotonic()
    try:
        found: dict[str, Any] = row.measure(start + min(left, row.seconds), log)
    except Lost as lost:
        found = {"problem": str(lost)}
    problems = {each.get("problem") for each in found.get("trainers", {}).values()}
    if problems and None not in problems:
        found["problem"] = "; ".join(sorted(map(str, problems)))
    return {**found, "took": round(time.monotonic() - start, 1)}


def _begun(path: pathlib.Path, name: str) -> dict[str, Any]:
    """The results that are there, or none."""
    results = {
        "machine": machine.describe(*_PACKAGES),
        "sizes": name,
        "lacks": lacking(),
        "rows": {},
    }
    if path.exists():
        before = files.read_json(path, missing="", damaged="remove it")
        if before.get("sizes") != name:
            raise InputError(
                path,
                f"has results of the sizes {before.get('sizes')!r}, and {name!r} is asked",
                "give another --out",
            )
        results["rows"] = before["rows"]
    return results


def _write(out: pathlib.Path, results: dict[str, Any]) -> None:
    files.write_text(out / "results.json", json.dumps(results, indent=1) + "\n")
    files.write_text(out / "table.md", markdown.page(results))


def _busy(out: pathlib.Path) -> None:
    raise InputError(
        out, "is in use by another such command", "wait for it, or give another --out"
    )


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(argv[1], "an argument", "use flags only: see --help")
    values = flags.FLAGS
    if not values.out:
        raise InputError("--out", "is not given", "name a folder for the results")
    out = places.expanded(values.out).absolute()
    with files.explained(out):
        out.mkdir(parents=True, exist_ok=True)
    # What ends this ends the processes that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Several programs share one GPU: none may take all of its memory. A cache would
    # hide what the first step costs.
    os.environ.update(
        XLA_PYTHON_CLIENT_PREALLOCATE="false",
        JAX_ENABLE_COMPILATION_CACHE="false",
        TORCHINDUCTOR_FORCE_DISABLE_CACHES="1",
        TF_CPP_MIN_LOG_LEVEL="3",
    )
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    for line in lacking():
        print(line, flush=True)
    sizes, name = (SMOKE, "smoke") if values.smoke else (FULL, "full")
    with lock.locked(out / ".lock", lambda: _busy(out)):
        results = measure(sizes, out, values.minutes, values.rows, name)
    print("\n" + markdown.page(results), flush=True)


if __name__ == "__main__":
    flags.DEFINE_float("minutes", 9.0, "the time of all rows")
    flags.DEFINE_string("out", "", "folder of results.json, table.md and log.txt")
    flags.DEFINE_bool("smoke", False, "tiny sizes, to try it on any machine")
    flags.DEFINE_list("rows", [], "beginnings of names of rows; all if not given")
    command.run(main)
