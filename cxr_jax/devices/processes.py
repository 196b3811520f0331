"""One process, or several that train one model together.

Every process runs the same program on the same global batches. Each reads its part of
a batch, all know every result, and the first alone writes files and to the terminal.
Nothing of JAX is imported before `start`: commands that need none ask `is_first` too.
"""

from __future__ import annotations

import numpy as np

from tfds_builders.common.errors import InputError

# Which of how many this is; set once, by `start`.
_index, _count = 0, 1


def start(address: str = "", count: int = 0, index: int = -1) -> None:
    """Joins the other processes; before anything else of JAX.

    Args:
      address: 'host:port' of the first process; empty where a scheduler tells (Slurm,
        Open MPI, Kubernetes, TPU pods: what `jax.distributed` knows).
      count, index: how many there are, and which of 0..count-1 this is; with an
        address.

    Raises:
      InputError: half of it is given, no scheduler tells, or the others do not come.
    """
    given = bool(address), count > 0, index >= 0
    if any(given) and not all(given):
        raise InputError(
            "--coordinator, --processes and --process",
            f"are {address!r}, {count} and {index}",
            "give all three (127.0.0.1:9876, 2 and 0), or --distributed alone under "
            "Slurm, Open MPI or Kubernetes",
        )
    import jax

    global _index, _count
    try:
        if address:
            jax.distributed.initialize(address, count, index)
        else:
            jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise InputError(
            "--distributed",
            f"the processes do not come together: {str(error).splitlines()[0]}",
            "start one per --process=0..N-1 with the same --coordinator, the first on "
            "that host; under a scheduler its environment has to say so",
        ) from error
    _index, _count = jax.process_index(), jax.process_count()


def count() -> int:
    """How many there are; 1 unless `start` was called."""
    return _count


def is_first() -> bool:
    """The one that writes."""
    return _index == 0


def part(indices: np.ndarray) -> np.ndarray:
    """Of the positions [B] in a global batch, those that this process reads."""
    size = len(indices) // _count
    return indices[_index * size :][:size]


def wait(name: str) -> None:
    """Until all have come to this point."""
    if _count > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def anywhere(flag: bool) -> bool:
    """True in all as soon as it is true in one; all have to ask at the same point."""
    return bool(largest(int(flag)))


def largest(number: int) -> int:
    """The largest of what all of them give, which have to ask at the same point."""
    if _count == 1:
        return number
    from jax.experimental import multihost_utils

    return int(multihost_utils.process_allgather(np.array(number, np.int32)).max())


def from_first(numbers: list[float]) -> list[float]:
    """What the first of them gives, bit for bit; all have to ask at the same point.

    Decisions of the training rest on such numbers: another processor may round them
    in another way, and the processes would part for ever.
    """
    if _count == 1:
        return numbers
    from jax.experimental import multihost_utils

    # JAX would make float32 of float64, but leaves whole numbers alone.
    bits = np.array(numbers, np.float64).view(np.int32)
    bits = np.asarray(multihost_utils.broadcast_one_to_all(bits))
    return bits.view(np.float64).tolist()
