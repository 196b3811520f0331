"""A trace of some training steps, to see where their time goes."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from cxr_jax.devices.terminal import say
from tfds_builders.common import files
from tfds_builders.common.errors import InputError


class Profile:
    """What the loop tells of its steps; `recorded` makes one."""

    def __init__(self, folder: pathlib.Path, first: int, steps: int):
        self._folder, self._first, self._steps = folder, first, steps
        self._span: jax.profiler.StepTraceAnnotation | None = None
        self._left = steps  # to be recorded
        self._running, self._values = False, None

    def before(self, step: int) -> None:
        """Right before step number `step` is sent off, its batch included."""
        if self._left and step >= self._first:
            if not self._running:
                jax.profiler.start_trace(
                    self._folder,
                    create_perfetto_trace=True,
                    profiler_options=_options(),
                )
                self._running = True
            self._span = jax.profiler.StepTraceAnnotation("step", step_num=step)
            self._span.__enter__()

    def after(self, values: Any) -> None:
        """Right after a step was sent off; the last one recorded is waited for.

        Args:
          values: what the step returned, as its metrics: arrays which may still be
            computed, and are not given to another step to be overwritten.
        """
        if self._span is None:
            return
        self._left -= 1
        self._values = values
        if not self._left:
            jax.block_until_ready(values)
        self._span.__exit__(None, None, None)
        self._span = None
        if not self._left:
            self.stop()

    def stop(self) -> None:
        """Writes the trace, where one is running, and says where it lies."""
        if not self._running:
            return
        self._running, self._left = False, 0
        jax.block_until_ready(self._values)
        try:
            with files.explained(self._folder):
                jax.profiler.stop_trace()
        except (RuntimeError, ValueError) as error:  # of XLA, which has no OSError
            raise InputError(
                self._folder,
                f"the trace cannot be written: {str(error).splitlines()[0]}",
                f"{files.free_space(self._folder)}; make room, give another folder, "
                "or record fewer steps",
            ) from error
        found = self._folder.glob("plugins/profile/*/perfetto_trace.json.gz")
        path = max(found, key=lambda p: p.stat().st_mtime_ns)
        say(
            f"trace  {path}\n"
            "       opens in https://ui.perfetto.dev (Open trace file); for XProf in "
            f"TensorBoard:\n       tensorboard --logdir={self._folder}"
        )

    def missed(self) -> bool:
        """True where steps were to be recorded and none came."""
        return self._left == self._steps > 0


@contextmanager
def recorded(folder: pathlib.Path, first: int, steps: int) -> Iterator[Profile]:
    """Records the steps `first`, `first + 1`, ... of the loop inside.

        with profiling.recorded(workdir / "profile", start + 2, 5) as profile:
            for step in ...:
                profile.before(step)
                state, metrics = train_step(...)
                profile.after(metrics)

    A trace that is running when the loop ends, or fails, is written too.

    Args:
      folder: of traces, made if it is not there; each has its own folder below.
      first: number of the first step recorded. The one that compiles would hide all
        others: begin after it.
      steps: how many, where the loop sends off several at a time so many times; 0
        records nothing, as all processes but one should. On the CPU keep it small.

    Raises:
      InputError: the folder cannot be written, before any step is made.
    """
    if steps:
        with files.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
    profile = Profile(folder, first, steps)
    try:
        yield profile
    finally:
        profile.stop()
    if profile.missed():
        say(f"no trace: the run ended before step {first}, where it was to begin")


def _options() -> jax.profiler.ProfileOptions:
    """No calls of Python functions: a trace holds a million events, then drops some."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    return options
