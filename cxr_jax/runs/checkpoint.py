"""Checkpoints: the newest two and the best one, as a training keeps them.

The only importer of orbax; `saved` reads without it.

A checkpoint is written in the background, carries digests of all it holds, and is
read only if they agree; if they do not, the one before it is read.
"""

from __future__ import annotations

import errno
import itertools
import json
import pathlib
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from cxr_jax import trees
from cxr_jax.devices import processes
from cxr_jax.devices.terminal import say
from cxr_jax.runs import best, digest, own_digest, saved
from cxr_jax.state import TrainState
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

_NEWEST = 2


class Store(NamedTuple):
    """An open folder of checkpoints.

    Attributes:
      folder: of all steps.
      manager: of orbax; only `worker` may touch it while something is pending.
      worker: one thread, so that checkpoints are written one after another.
      pending: {step: its write}, at most one.
      read_back: steps that were read again right after they were written: the first.
      read_only: nothing is renamed or deleted.
    """

    folder: pathlib.Path
    manager: ocp.CheckpointManager
    worker: ThreadPoolExecutor
    pending: dict[int, Future]
    read_back: list[int]
    read_only: bool


def open_store(folder: pathlib.Path, *, read_only: bool = False) -> Store:
    """Opens the folder; half-written checkpoints are ignored.

    Args:
      folder: created if it is not there, and cleared of half-written checkpoints,
        unless `read_only`: a training may be writing one just now.
    """
    folder = folder.absolute()
    writes = not read_only and processes.is_first()
    with files.explained(folder):
        if writes:
            folder.mkdir(parents=True, exist_ok=True)
        place = saved.openable(folder)
        manager = _manager(place, cleans=writes, read_only=read_only)
        if writes and not manager.all_steps():
            _check_place(folder, place)
    return Store(
        folder, manager, ThreadPoolExecutor(1, "checkpoint"), {}, [], not writes
    )


def _manager(folder: pathlib.Path, *, cleans: bool, read_only: bool):
    return ocp.CheckpointManager(
        folder,
        options=ocp.CheckpointManagerOptions(
            create=False,
            enable_async_checkpointing=False,
            cleanup_tmp_directories=cleans,
            read_only=read_only,
            multiprocessing_options=_alone(),
        ),
    )


def _alone() -> ocp.options.MultiprocessingOptions:
    """One process writes and each reads for itself: orbax has none to wait for.

    Its barriers would run on the devices, in the midst of the steps.
    """
    this = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=this, active_processes={this}
    )


def _check_place(folder: pathlib.Path, place: pathlib.Path) -> None:
    """Writes an array and reads it back, before hours are spent on what cannot be read.

    Raises:
      InputError: what came back is not what was written.
    """
    array = np.arange(4, dtype=np.float32)
    hint = f"{files.make_room(folder, None)}, or give a --workdir on another disk"
    with tempfile.TemporaryDirectory(prefix=".try-", dir=folder) as name:
        manager = _manager(
            place / pathlib.Path(name).name, cleans=True, read_only=False
        )
        try:
            manager.save(0, args=ocp.args.StandardSave({"array": array}), force=True)
            target = ocp.args.StandardRestore({"array": np.empty_like(array)})
            with saved.hushed():
                found = manager.restore(0, args=target)["array"]
        except MemoryError:
            raise
        except Exception as error:  # as in `_load` and `_write`
            reason = saved.first_line(error)
            raise InputError(
                folder, f"checkpoints cannot be kept there: {reason}", hint
            ) from error
        finally:
            manager.close()
    if not np.array_equal(found, array):
        raise InputError(folder, "a checkpoint comes back with other numbers", hint)


def save(store: Store, state: TrainState, meta: dict[str, Any]) -> None:
    """Copies the state off the device; the first process writes it in the background.

    Waits for the write before, so that there is one copy on the host at most.

    Args:
      store: of `open_store`.
      state: at step `state.step`, the same in all processes; saving a step twice does
        nothing.
      meta: JSON; `meta['best']` is the record of the best evaluation so far
        ({'step', ...}) or None, and goes to `best.json` once all is on disk.

    Raises:
      InputError: the write before failed: the disk is full or not writable; older
        checkpoints stay.
    """
    if not processes.is_first():
        return
    step = int(state.step)
    if step in store.pending and not store.pending[step].done():
        return
    if step in steps(store):
        return
    # What follows may change the host's memory too.
    meta = json.loads(json.dumps(meta))
    leaves = digest.host_copy(state)
    store.pending[step] = store.worker.submit(_write, store, step, leaves, meta)


def finish(store: Store) -> None:
    """Waits until the last checkpoint is on disk.

    Raises:
      InputError: it could not be written; older checkpoints stay.
    """
    while store.pending:
        _, write = store.pending.popitem()
        write.result()


def steps(store: Store) -> list[int]:
    """Of the checkpoints that are there, after waiting for the last of them."""
    finish(store)
    return sorted(store.manager.all_steps())


def restore(
    store: Store, abstract_state: TrainState, step: int | None = None
) -> tuple[TrainState, dict[str, Any]] | None:
    """The newest whole checkpoint, or that of `step`, as (state, meta).

    Without `step`, damaged checkpoints are passed over and, unless the store is
    read-only, moved aside to `damaged-<step>`; `best.json` then says what the restored
    one knows. All processes have to call it.

    Args:
      abstract_state: shapes, with shardings.

    Returns:
      None if there is no checkpoint.

    Raises:
      InputError: there are some but none can be read, or one was saved by another
        model or optimiser.
    """
    finish(store)
    if step is not None:
        return _read_or_explain(store, abstract_state, step)
    if not processes.is_first():
        step = _from_first(None)
        return None if step is None else _read_or_explain(store, abstract_state, step)
    try:
        step, restored = _newest(store, abstract_state)
    except BaseException:
        _from_first(_FAILED)
        raise
    _from_first(step)
    return restored


def _write(
    store: Store, step: int, leaves: dict[str, np.ndarray], meta: dict[str, Any]
) -> None:
    """In the background: the checkpoint, then `best.json`, then the old ones go."""
    try:
        record = {
            "meta": meta,
            "shapes": digest.shapes(leaves),
            "digests": digest.of(leaves),
        }
        store.manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(leaves),
                record=ocp.args.JsonSave(own_digest.seal(record)),
            ),
            force=True,
        )
        if not store.read_back:
            _read_back(store, step, leaves, record["digests"])
        best.write(store.folder, meta["best"])
        _delete_old(store)
    # Orbax passes on whatever its storage layer raises: OSError, ValueError and
    # RuntimeError have all been seen for a full disk.
    except (OSError, ValueError, RuntimeError) as error:
        code = errno.ENOSPC if "No space" in str(error) else getattr(error, "errno", 0)
        raise InputError(
            store.folder / str(step),
            f"the checkpoint cannot be saved: {saved.first_line(error)}",
            f"{files.make_room(store.folder, code)}. The last good checkpoint is step "
            f"{store.manager.latest_step()}: run the same command again to resume from "
            "there",
        ) from error


def _read_back(
    store: Store, step: int, leaves: dict[str, np.ndarray], digests: dict[str, str]
) -> None:
    """The first checkpoint of a process: a place that loses them is known at once."""
    store.read_back.append(step)
    targets = {n: np.empty_like(leaf) for n, leaf in leaves.items()}
    try:
        found = _load(store, step, state=ocp.args.StandardRestore(targets)).state
        if digest.of({n: np.asarray(found[n]) for n in leaves}) != digests:
            raise saved.Damaged("not the bytes that were saved")
    except saved.Damaged as error:
        raise InputError(
            store.folder / str(step),
            f"the checkpoint was written and cannot be read back: {error}",
            f"{files.make_room(store.folder, None)}, or give a --workdir on another disk",
        ) from error


def _delete_old(store: Store) -> None:
    """Keeps the newest and, of each of them, the best: one may prove damaged."""
    there = sorted(store.manager.all_steps())
    keep = set(there[-_NEWEST:])
    try:
        records = [
            saved.record(store.folder / str(step))["meta"] for step in there[-_NEWEST:]
        ]
    except saved.Damaged:
        return  # it might have named any of them
    keep.update(meta["best"]["step"] for meta in records if meta["best"])
    for step in there:
        if step not in keep:
            store.manager.delete(step)


def _newest(
    store: Store, abstract_state: TrainState
) -> tuple[int | None, tuple[TrainState, dict[str, Any]] | None]:
    """-> (step, restored) of the newest that can be read; moves aside those above."""
    damaged: dict[int, str] = {}
    for step in reversed(steps(store)):
        try:
            restored = _read(store, abstract_state, step)
        except saved.Damaged as error:
            damaged[step] = str(error)
            continue
        for bad, found in damaged.items():
            moved = "" if store.read_only else f"; moved to {_move_aside(store, bad)}"
            say(f"checkpoint {bad} is damaged ({found}){moved}; using step {step}")
        if not store.read_only:
            # It may name one that was moved, or the process died before writing it.
            best.write(store.folder, restored[1]["best"])
        return step, restored
    if damaged:
        listed = "\n  ".join(f"step {step}: {found}" for step, found in damaged.items())
        raise InputError(
            store.folder,
            f"none of the checkpoints can be read:\n  {listed}",
            "restore one of these folders from a copy, or train again in a new "
            "--workdir; nothing was deleted",
        )
    return None, None


def _read_or_explain(
    store: Store, abstract_state: TrainState, step: int
) -> tuple[TrainState, dict[str, Any]]:
    with saved.explained(store.folder, step):
        return _read(store, abstract_state, step)


def _read(
    store: Store, abstract_state: TrainState, step: int
) -> tuple[TrainState, dict[str, Any]]:
    """The state, placed on the devices, and meta.

    Read on the host first: a device without room is no damage.
    """
    record = saved.record(store.folder / str(step))
    abstract = trees.by_name(abstract_state)
    digest.check_fit(
        store.folder / str(step), record["shapes"], digest.shapes(abstract)
    )
    targets = {n: np.empty(leaf.shape, leaf.dtype) for n, leaf in abstract.items()}
    found = _load(store, step, state=ocp.args.StandardRestore(targets)).state
    arrays = {name: np.asarray(found[name]) for name in abstract}
    saved.check_digests(arrays, record["digests"])
    return saved.placed(arrays, abstract_state), record["meta"]


def _load(store: Store, step: int, **items: ocp.args.CheckpointArgs) -> Any:
    with saved.damage_named(store.folder / str(step)):
        return store.manager.restore(step, args=ocp.args.Composite(**items))


def _move_aside(store: Store, step: int) -> str:
    """Renames the folder to what orbax takes for no step; -> the new name."""
    for number in itertools.count(1):
        name = f"damaged-{step}" if number == 1 else f"damaged-{step}-{number}"
        if not (store.folder / name).exists():
            break
    with files.explained(store.folder / name):
        (store.folder / str(step)).rename(store.folder / name)
    store.manager.reload()
    return name


_NONE, _FAILED = -1, -2


def _from_first(step: int | None) -> int | None:
    """What the first process found, in all of them."""
    (found,) = processes.from_first([_NONE if step is None else step])
    if found == _FAILED and not processes.is_first():
        raise InputError(
            "checkpoints",
            "the first process cannot restore one",
            "see its message",
        )
    return None if found == _NONE else int(found)
