"""What a run says while it goes: `metrics.jsonl` and a line on the terminal."""

from __future__ import annotations

import json
import math
import os
import pathlib
import sys
import time
from typing import Any

from cxr_jax import files
from tfds_builders.common.errors import InputError


class Writer:
    """Collects the numbers of each step one step late, so the device never waits.

    Args:
      path: of `metrics.jsonl`; lines after `start` are dropped, because a resumed run
        writes them again.
      start: the step the run begins at.
      total_steps, log_steps: of the run.
      batch_size: for images/s.
      steps_per_epoch: for the epoch on the line.
      interval: the steps since the last line, as the checkpoint kept them.
    """

    def __init__(
        self,
        path: pathlib.Path,
        *,
        start: int,
        total_steps: int,
        log_steps: int,
        batch_size: int,
        steps_per_epoch: float,
        interval: list[dict[str, float]] | None = None,
    ):
        self._path = path
        self._total, self._log_steps = total_steps, log_steps
        self._batch_size, self._steps_per_epoch = batch_size, steps_per_epoch
        self._pending: tuple[int, dict[str, Any], float] | None = None
        self.interval = list(interval or [])
        self._begin: float | None = None
        self._first = start
        files.write_text(path, "".join(line + "\n" for line in _lines(path, start)))

    def later(self, step: int, metrics: dict[str, Any], lr: float) -> None:
        """Takes the metrics of `step`, device arrays, and deals with those before."""
        self.flush()
        self._pending = (step, metrics, lr)

    def flush(self) -> None:
        """Waits for the step handed in last.

        Raises:
          InputError: its loss or gradient is not finite.
        """
        if self._pending is None:
            return
        step, metrics, lr = self._pending
        self._pending = None
        values = {name: float(value) for name, value in metrics.items()}
        if self._begin is None:  # the first step compiles: not part of the speed
            self._begin, self._first = time.monotonic(), step
        for name, value in values.items():
            if not math.isfinite(value):
                raise InputError(
                    f"step {step}",
                    f"the {name} is {value} (learning rate {lr:.3g}, "
                    f"grad_norm {values.get('grad_norm', math.nan):.3g})",
                    "nothing after the last checkpoint was kept; lower "
                    "config.optim.lr, or set config.optim.clip_norm=1 and warm up",
                )
        self.interval.append(values)
        if step % self._log_steps == 0 or step == self._total:
            self._log(step, lr)

    def _log(self, step: int, lr: float) -> None:
        seconds = time.monotonic() - self._begin
        mean = {
            f"train/{name}": sum(v[name] for v in self.interval) / len(self.interval)
            for name in self.interval[0]
        }
        done = step - self._first  # since the first step; evaluations left out
        speed = done * self._batch_size / seconds if done else math.nan
        left = (self._total - step) * self._batch_size / speed
        self.interval = []
        self.write(step, {**mean, "lr": lr, "images_per_second": speed})
        say(
            f"step {step:>6}/{self._total}  epoch {step / self._steps_per_epoch:6.1f}  "
            f"loss {mean['train/loss']:.4f}  lr {lr:.2e}  "
            + (f"{speed:5.0f} images/s  left {duration(left)}" if done else "")
        )

    def evaluated(self, step: int, values: dict[str, float], line: str, since) -> None:
        """Writes the metrics of an evaluation; its time is no training time."""
        self.write(step, values)
        say(f"step {step:>6}/{self._total}  {line}")
        if self._begin is not None:
            self._begin += time.monotonic() - since

    def write(self, step: int, values: dict[str, float]) -> None:
        """Appends a line to `metrics.jsonl`; not-a-number becomes null."""
        row = {
            name: value if math.isfinite(value) else None
            for name, value in values.items()
        }
        with files.explained(self._path), self._path.open("a") as file:
            file.write(json.dumps({"step": step, **row}) + "\n")


def say(text: str) -> None:
    """A line for the person who waits; nobody reading it is no reason to fail."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # Ctrl-C in a shell ends `| tee` before it ends us
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def duration(seconds: float) -> str:
    """75 -> '1:15'."""
    if not math.isfinite(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _lines(path: pathlib.Path, last_step: int) -> list[str]:
    """The lines up to a step; a killed run may have left half a line at the end."""
    kept = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            if json.loads(line)["step"] <= last_step:
                kept.append(line)
        except (json.JSONDecodeError, TypeError, KeyError):
            continue
    return kept
