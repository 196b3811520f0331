"""Records a trace of some training steps, to see where the time goes."""

from __future__ import annotations

import errno
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from cxr_jax.devices.terminal import say
from tfds_builders.common import files
from tfds_builders.common.errors import InputError


class Profile:
    """Called by the loop before and after its steps; made by `recorded`."""

    def __init__(self, folder: pathlib.Path, first: int, steps: int):
        self._folder, self._first, self._steps = folder, first, steps
        self._span: jax.profiler.StepTraceAnnotation | None = None
        self._left = steps  # still to be recorded
        self._running, self._values = False, None

    def before(self, step: int) -> None:
        """Call right before step number `step` is dispatched, including its batch."""
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
        """Call right after a step was dispatched; waits for the last recorded one.

        Args:
          values: what the step returned, such as its metrics: arrays that may not be
            ready yet and are not donated to another step.
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
        """Writes the trace, if one is running, and prints its path."""
        if not self._running:
            return
        self._running, self._left = False, 0
        jax.block_until_ready(self._values)
        try:
            with files.explained(self._folder):
                jax.profiler.stop_trace()
        except (
            RuntimeError,
            ValueError,
        ) as error:  # from XLA, which does not raise OSError
            raise InputError(
                self._folder,
                f"the trace cannot be written: {str(error).splitlines()[0]}",
                f"{files.make_room(self._folder, errno.ENOSPC)}, use another folder, "
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
        """Whether steps were to be recorded but none ran."""
        return self._left == self._steps > 0


@contextmanager
def recorded(folder: pathlib.Path, first: int, steps: int) -> Iterator[Profile]:
    """Records the steps `first`, `first + 1`, ... of the loop inside.

        with profiling.recorded(workdir / "profile", start + 2, 5) as profile:
            for step in ...:
                profile.before(step)
                state, metrics = train_step(...)
                profile.after(metrics)

    A trace is also written if the loop ends or fails while it is running.

    Args:
      folder: of traces, created if missing; each gets a subfolder.
      first: number of the first step recorded. Begin after the step that compiles,
        which would hide all others.
      steps: how many (dispatches, if the loop runs several steps in one); 0 records
        nothing, as in all processes but one. Keep it small on the CPU.

    Raises:
      InputError: the folder cannot be written; raised before the first step.
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
        say(f"no trace: the run ended before step {first}, at which it was to begin")


def _options() -> jax.profiler.ProfileOptions:
    """Leaves out calls of Python functions: a trace drops events after a million."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    return options
