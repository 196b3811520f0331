"""Checkpoints: the newest two and the best one. The only importer of orbax."""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from cxr_jax import files
from cxr_jax.state import TrainState
from tfds_builders.common.errors import InputError


class _KeepBest:
    """Orbax keeps a policy object: the step that our own record calls the best.

    `max_to_keep` with `best_fn` deletes the newest checkpoint when it is not among the
    best, and `BestN` breaks ties by recency, where we keep the first.
    """

    def __init__(self):
        self.step: int | None = None

    def should_preserve(self, checkpoints, *, context):
        del context
        return [checkpoint.step == self.step for checkpoint in checkpoints]


class Store(NamedTuple):
    """An open folder of checkpoints."""

    folder: pathlib.Path
    manager: ocp.CheckpointManager
    keep_best: _KeepBest


def open_store(folder: pathlib.Path, *, read_only: bool = False) -> Store:
    """Opens the folder; half-written checkpoints are ignored.

    Args:
      folder: created if it is not there, and cleared of half-written checkpoints,
        unless `read_only`: a training may be writing one just now.
    """
    folder = folder.absolute()
    keep_best = _KeepBest()
    with files.explained(folder):
        if not read_only:
            folder.mkdir(parents=True, exist_ok=True)
        manager = ocp.CheckpointManager(
            folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=preservation_policy.AnyPreservationPolicy(
                    [preservation_policy.LatestN(2), keep_best]
                ),
                enable_async_checkpointing=False,
                cleanup_tmp_directories=not read_only,
                read_only=read_only,
            ),
        )
    return Store(folder, manager, keep_best)


def save(store: Store, state: TrainState, meta: dict[str, Any]) -> None:
    """Saves the state and what the host must remember.

    Args:
      store: of `open_store`.
      state: at step `state.step`; saving a step twice does nothing.
      meta: JSON; `meta['best']` is the record of the best evaluation so far
        ({'step', ...}) or None, and is also written to `best.json`.

    Raises:
      InputError: the disk is full or not writable; older checkpoints stay.
    """
    step = int(state.step)
    if step in store.manager.all_steps():
        return
    best = meta["best"]
    store.keep_best.step = best["step"] if best else None
    try:
        store.manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)
            ),
        )
        store.manager.wait_until_finished()
    # Orbax passes on whatever its storage layer raises: OSError, ValueError and
    # RuntimeError have all been seen for a full disk.
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            store.folder / str(step),
            f"the checkpoint cannot be saved: {_first_line(error)}",
            f"{files.free_space(store.folder)}; the last good checkpoint is step "
            f"{store.manager.latest_step()}. Make room and run the same command again: "
            "it goes on from there",
        ) from error
    write_best(store.folder, best)


def restore(
    store: Store, abstract_state: TrainState, step: int | None = None
) -> tuple[TrainState, dict[str, Any]] | None:
    """The newest checkpoint, or that of `step`, as (state, meta); None if there is none.

    Raises:
      InputError: it is there but cannot be read.
    """
    step = store.manager.latest_step() if step is None else step
    if step is None:
        return None
    try:
        restored = store.manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(abstract_state),
                meta=ocp.args.JsonRestore(),
            ),
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        newest = step == store.manager.latest_step()
        others = [s for s in store.manager.all_steps() if s != step]
        raise InputError(
            store.folder / str(step),
            f"the checkpoint cannot be read: {_first_line(error)}",
            f"remove that folder to go on from step {max(others)}"
            if newest and others
            else "restore it from a copy, or train again in a new --workdir",
        ) from error
    best = restored.meta["best"]
    store.keep_best.step = best["step"] if best else None
    return TrainState(*restored.state), restored.meta


def write_best(folder: pathlib.Path, best: dict[str, Any] | None) -> None:
    """Notes which checkpoint is the best, for people and for `read_best`."""
    if best:
        files.write_text(folder / "best.json", json.dumps(best, indent=2) + "\n")


def read_best(folder: pathlib.Path) -> dict[str, Any]:
    """The record of the best evaluation: step, metric, value, decision.

    Raises:
      InputError: nothing was evaluated yet.
    """
    return files.read_json(
        folder / "best.json",
        missing="no checkpoint was evaluated on val yet; train first: "
        "python -m cxr_jax.main --config=... --workdir=...",
    )


def _first_line(error: Exception) -> str:
    # The storage layer adds its whole specification in JSON.
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
