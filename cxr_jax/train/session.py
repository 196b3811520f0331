"""The host's side of one training: when to evaluate and save, what to remember."""

from __future__ import annotations

import pathlib

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import experiment, trees
from cxr_jax.data import pipeline, roles
from cxr_jax.devices import processes, sharding
from cxr_jax.devices.terminal import say
from cxr_jax.runs import checkpoint, nonfinite, restore
from cxr_jax.runs.writer import Writer
from cxr_jax.state import TrainState
from cxr_jax.steps import Settings
from cxr_jax.tasks import noise
from cxr_jax.train import preview, validation


def prepare(
    config: ConfigDict, workdir: pathlib.Path
) -> tuple[experiment.Experiment, roles.Splits]:
    """The experiment and its data; a phantom is made in the workdir where asked for."""
    splits = roles.open_splits(config.data, workdir)
    return build(config, splits), splits


def build(config: ConfigDict, splits: roles.Splits) -> experiment.Experiment:
    """The experiment of a config on these splits."""
    return experiment.build(
        config,
        train_examples=splits.train.size,
        class_counts=experiment.count_classes(config.task, splits.train),
        image_dtype=roles.image_dtype(splits.train),
    )


class Run:
    """One training in its workdir; `stepper` is the device's side.

    Attributes:
      exp, splits, workdir: of the run.
      label: stands before its lines; a quiet run says what evaluations gave only.
      targets: of the training split.
      order: positions in the training split of batch i, at [i].
      start: the step it began at in this process, after `begin`.
      memory: what the host remembers beside the state, `validation.start`.
    """

    def __init__(
        self,
        exp: experiment.Experiment,
        splits: roles.Splits,
        workdir: pathlib.Path,
        *,
        label: str = "",
        is_quiet: bool = False,
    ):
        self.exp, self.splits, self.workdir = exp, splits, workdir
        config = exp.config
        self.targets = noise.add(
            exp.task.targets(splits.train) | exp.task.more_targets(splits.train),
            config.task.label_noise,
            exp.task.levels,
            config.seed,
        )
        self.order = pipeline.order(
            splits.train.size, batch_size=config.batch_size, seed=config.seed
        )
        self.start = 0
        self.label, self._is_quiet = label, is_quiet
        self._shown = False
        self._writer: Writer | None = None
        self._store = checkpoint.open_store(workdir / "checkpoints")
        self._eval_step = exp.compile_eval_step()
        # All at once: a single call would wait for the step that was just sent off.
        self._rates = np.asarray(jax.vmap(exp.schedule)(np.arange(exp.total_steps)))

    @property
    def steps(self) -> list[int]:
        """Of the checkpoints that are there."""
        return checkpoint.steps(self._store)

    def begin(self, step: int | None = None) -> TrainState:
        """The state to resume from: of a checkpoint where there is one, else fresh.

        Args:
          step: of the checkpoint, 0 for a fresh one; None for the newest that can be
            read.
        """
        exp, restored = self.exp, None
        if step != 0:
            restored = checkpoint.restore(self._store, exp.abstract_state, step)
        if restored:
            state, self.memory = restored
            name = f"{self.label}: " if self.label else ""
            say(f"{name}resuming from step {int(state.step)}")
        else:
            state = sharding.replicate(restore.first_state(exp), exp.mesh)
            self.memory = validation.start(exp.task.constant(self.targets))
            validation.check_labels(exp, self.splits)
            validation.check_selection(exp, self.splits.val)
        self.start = int(state.step)
        if self._writer:
            self._writer.close()
        self._writer = Writer(
            self.workdir / "metrics.jsonl",
            start=self.start,
            total_steps=exp.total_steps,
            log_steps=exp.log_steps,
            batch_size=exp.config.batch_size,
            steps_per_epoch=self.splits.train.size / exp.config.batch_size,
            interval=self.memory["interval"],
            label=self.label,
            is_quiet=self._is_quiet,
        )
        return state

    def is_due_to_evaluate(self, step: int) -> bool:
        """It is time for val, or the training is over."""
        # What was due at the start of a resumed run was done before its checkpoint.
        due = step % self.exp.eval_steps == 0 or step == self.exp.total_steps
        return due and step > self.start

    def evaluate(self, step: int, state: TrainState) -> bool:
        """Evaluates on val; -> has it become the best so far?"""
        self._settle()
        self._show_inputs(step - 1)
        self.memory, improved = validation.validate(
            self.exp, self._eval_step, state, self.memory, self.splits.val, self._writer
        )
        return improved

    def _show_inputs(self, step: int) -> None:
        # With the first evaluation: before the first step it would be waited for.
        if processes.is_first() and not self._shown:
            config, train = self.exp.config, self.splits.train
            picture = preview.draw(config, train, self.targets, self.order[step], step)
            self._writer.picture(step + 1, "train/inputs", picture)
            self._shown = True

    def is_over(self, step: int) -> bool:
        """The last step is done, or nothing got better for too long."""
        return step >= self.exp.total_steps or self.memory["stopped"]

    def is_due_to_save(self, step: int) -> bool:
        """A checkpoint is due whatever the evaluation said."""
        return step % self.exp.checkpoint_steps == 0

    def save(self, step: int, state: TrainState) -> None:
        """Hands the state to the disk; a step that is there already stays."""
        if step > self.start:
            self._settle()
            self.memory = {**self.memory, "interval": self._writer.interval}
            checkpoint.save(self._store, state, self.memory)

    def close(self) -> None:
        """Waits until everything is on the disk, also where the training failed."""
        checkpoint.finish(self._store)
        if self._writer:
            self._writer.close()

    def next_stop(self, step: int) -> int:
        """The next step at which the device has to hand over the state."""
        every = (self.exp.eval_steps, self.exp.checkpoint_steps)
        return min(self.exp.total_steps, *((step // n + 1) * n for n in every))

    def settings(self, first: int, end: int) -> Settings:
        """Of the steps first .. end - 1, float32 [n]."""
        config = self.exp.config
        rates = self._rates[first:end] * np.float32(self.memory["lr_scale"])
        return Settings(
            lr=rates,
            weight_decay=np.full_like(rates, config.optim.weight_decay),
            strength=np.full_like(rates, config.preprocess.strength),
        )

    def note(self, end: int, metrics, settings: Settings) -> None:
        """Takes what the steps up to `end` gave; deals with those before them.

        Raises:
          InputError: the loss or the gradient of one of those was no number.
        """
        self._settle()
        self._writer.later(end, metrics, settings.lr)

    def _settle(self) -> None:
        try:
            self._writer.flush()
        except nonfinite.NotFinite as error:
            layers = jax.tree.leaves(trees.names(self.exp.abstract_state.params))
            ids = self.splits.train.table["example_id"]
            batch = [ids[position] for position in self.order[error.step - 1]]
            path = self.workdir / "not_finite.json"
            raise nonfinite.explain(error, path, layers, batch) from None
