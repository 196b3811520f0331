"""How far a run is, read from what it left in its workdir."""

from __future__ import annotations

import json
import pathlib
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from cxr_jax import config as config_lib
from cxr_jax.runs import seal
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

from . import attempts, unique

State = Literal[
    "waiting", "queued", "running", "stopped", "failed", "damaged", "finished"
]
# Those that starting again cannot change.
OVER = ("finished", "damaged")
RESULTS, VAL = "results.json", "val.json"


class Progress(NamedTuple):
    """Of one run.

    Attributes:
      state: stopped is what resumes; failed is what needs a person to look at it;
        damaged is a result that was edited.
      reason: of a failure, or where it is queued.
      step, total: of the training; None where it is not known yet.
      metric, value: of the checkpoint that is best on val so far; '' and None before.
      seconds_left: of the training, by the speed of its last steps.
    """

    state: State
    reason: str = ""
    step: int | None = None
    total: int | None = None
    metric: str = ""
    value: float | None = None
    seconds_left: float | None = None


def of(workdir: pathlib.Path, digest: str, result: str = RESULTS) -> Progress:
    """Of a run that no process is known to be at work on.

    Args:
      workdir: of the run.
      digest: of its config: a result of other settings is not its result.
      result: the file that says it is finished; its seal has to hold.
    """
    now = measured(workdir)
    if (workdir / result).exists() and unique.of_folder(workdir) in (digest, None):
        try:
            content = files.read_json(workdir / result, missing="")
            seal.check(workdir / result, content)
        except InputError as error:
            return now._replace(state="damaged", reason=_one_line(error))
        return now._replace(state="finished", seconds_left=None)
    tried = attempts.read(workdir)
    if tried and not attempts.is_stop(tried[-1]):
        reason = attempts.reason(tried[-1].code)
        return now._replace(state="failed", reason=reason, seconds_left=None)
    state = "stopped" if tried or now.step is not None else "waiting"
    return now._replace(state=state, seconds_left=None)


def measured(workdir: pathlib.Path) -> Progress:
    """Step, metric and time left, as of a run that is going on."""
    last = last_rows(workdir / "metrics.jsonl")
    step = max((row["step"] for row in last), default=None)
    total, batch = _length(workdir)
    speed = next((r["images_per_second"] for r in reversed(last) if _speed(r)), None)
    left = (total - step) * batch / speed if total and speed and step else None
    best = _best(workdir / "checkpoints" / "best.json")
    name = str(best.get("metric", "")).partition("/")[2]
    return Progress("running", "", step, total, name, best.get("value"), left)


def last_rows(path: pathlib.Path, size: int = 8192) -> list[dict[str, Any]]:
    """The last rows of metrics.jsonl, oldest first; what is half written is left out.

    size: bytes from the end that are looked at; 0 for the whole file.
    """
    try:
        with path.open("rb") as file:
            begin = max(path.stat().st_size - size, 0) if size else 0
            file.seek(begin)
            lines = file.read().decode("utf-8", "replace").splitlines()[bool(begin) :]
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
            if isinstance(row["step"], int):
                rows.append(row)
        except (ValueError, TypeError, KeyError):
            continue
    return rows


def _speed(row: dict[str, Any]) -> bool:
    value = row.get("images_per_second")
    return isinstance(value, int | float) and value > 0


def _length(workdir: pathlib.Path) -> tuple[int | None, int]:
    """(steps in all, images in a batch); (None, 0) while that is not known."""
    try:
        stamp = (workdir / "splits.json").stat().st_mtime_ns
        return _length_of(workdir, stamp)
    except (OSError, InputError, KeyError, TypeError):
        return None, 0


@lru_cache(maxsize=1024)
def _length_of(workdir: pathlib.Path, stamp: int) -> tuple[int, int]:
    config = files.read_json(workdir / "config.json", missing="")
    splits = files.read_json(workdir / "splits.json", missing="")
    batch = config["batch_size"]
    train = len(splits["train"]["examples"])
    total = config_lib.steps(
        config["total"], key="total", train_examples=train, batch_size=batch
    )
    return total, batch


def _best(path: pathlib.Path) -> dict[str, Any]:
    try:
        return files.read_json(path, missing="", damaged="")
    except InputError:
        return {}


def _one_line(error: InputError) -> str:
    return f"{pathlib.Path(error.where).name} {error.found}"
