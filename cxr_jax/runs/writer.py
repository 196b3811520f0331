"""What a run reports as it goes: `metrics.jsonl`, TensorBoard, lines on the terminal."""

from __future__ import annotations

import json
import math
import pathlib
import time
from typing import Any

import numpy as np

from cxr_jax.devices import processes
from cxr_jax.devices.terminal import duration, say
from cxr_jax.runs.nonfinite import NotFinite
from cxr_jax.runs.tensorboard import Board
from tfds_builders.common import files
from tfds_builders.common.forms import RESTORE


class Writer:
    """Collects the numbers of each step one step late, so the device never waits.

    Args:
      path: of `metrics.jsonl`; lines after `start` are dropped, because a resumed run
        writes them again. Events for TensorBoard go to `events` beside it.
      start: the step the run begins at.
      total_steps, log_steps: of the run.
      batch_size: for images/s.
      steps_per_epoch: for the epoch on the line.
      interval: the steps since the last line, as the checkpoint kept them.
      label: stands before its lines where several runs go on side by side.
      is_quiet: of the lines on the terminal, those of evaluations alone.
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
        label: str = "",
        is_quiet: bool = False,
    ):
        self._path = path
        self._is_quiet = is_quiet
        self._prefix = f"{label}  " if label else ""
        self._total, self._log_steps = total_steps, log_steps
        self._batch_size, self._steps_per_epoch = batch_size, steps_per_epoch
        self._pending: tuple[int, dict[str, Any], np.ndarray] | None = None
        self.interval = list(interval or [])
        self._begin: float | None = None
        self._first = start
        self._board: Board | None = None
        if processes.is_first():
            kept = _lines(path, start)
            files.write_text(path, "".join(line + "\n" for line in kept))
            self._board = Board(path.with_name("events"), start=start)

    def later(self, last: int, metrics: dict[str, Any], rates: np.ndarray) -> None:
        """Takes what steps gave, on the device, and deals with those before.

        Args:
          last: number of the last of the n steps.
          metrics: of `steps.make_train_step`, each [n, ...].
          rates: learning rates [n].
        """
        self.flush()
        self._pending = (last, metrics, rates)

    def flush(self) -> None:
        """Waits for the steps handed in last.

        Raises:
          NotFinite: the loss or gradient of one of them is no number.
        """
        if self._pending is None:
            return
        last, metrics, rates = self._pending
        self._pending = None
        # One transfer each, not one per number.
        metrics = {name: np.asarray(rows) for name, rows in metrics.items()}
        if self._begin is None:  # the first call compiles: not part of the speed
            self._begin, self._first = time.monotonic(), last
        for row, lr in enumerate(rates.tolist()):
            step = last - len(rates) + 1 + row
            norms = metrics["layer_norms"][row].tolist()
            values = {name: float(metrics[name][row]) for name in ("loss", "grad_norm")}
            if not all(map(math.isfinite, values.values())):
                raise NotFinite(step, values["loss"], lr, norms)
            self.interval.append(values)
            if step % self._log_steps == 0 or step == self._total:
                self._log(step, lr, last)

    def _log(self, step: int, lr: float, last: int) -> None:
        seconds = time.monotonic() - self._begin
        mean = {
            f"train/{name}": sum(v[name] for v in self.interval) / len(self.interval)
            for name in self.interval[0]
        }
        done = last - self._first  # since the first call; evaluations left out
        speed = done * self._batch_size / seconds if done > 0 else math.nan
        left = (self._total - last) * self._batch_size / speed
        self.interval = []
        self.write(step, {**mean, "lr": lr, "images_per_second": speed})
        if self._is_quiet:
            return
        say(
            f"{self._prefix}step {step:>6}/{self._total}  epoch {step / self._steps_per_epoch:6.1f}  "
            f"loss {mean['train/loss']:.4f}  lr {lr:.2e}  "
            + (f"{speed:5.0f} images/s  left {duration(left)}" if done > 0 else "")
        )

    def evaluated(self, step: int, values: dict[str, float], line: str, since) -> None:
        """Writes the metrics of an evaluation; its time is no training time."""
        self.write(step, values)
        say(f"{self._prefix}step {step:>6}/{self._total}  {line}")
        if self._begin is not None:
            self._begin += time.monotonic() - since

    def write(self, step: int, values: dict[str, float]) -> None:
        """Appends a line to `metrics.jsonl`, not-a-number as null, and an event."""
        row = {
            name: value if math.isfinite(value) else None
            for name, value in values.items()
        }
        if self._board:
            with files.explained(self._path), self._path.open("a") as file:
                file.write(json.dumps({"step": step, **row}) + "\n")
            self._board.scalars(step, values)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture for TensorBoard, uint8 [H, W] or [H, W, 3]."""
        if self._board:
            self._board.image(step, name, pixels)

    def close(self) -> None:
        """Ends the events; nothing is lost without."""
        if self._board:
            self._board.close()


def _lines(path: pathlib.Path, last_step: int) -> list[str]:
    """The lines up to a step; a killed run may have left half a line at the end."""
    kept = []
    text = (
        files.read_text(path, missing=RESTORE, damaged=RESTORE) if path.exists() else ""
    )
    for line in text.splitlines():
        try:
            if json.loads(line)["step"] <= last_step:
                kept.append(line)
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return kept
