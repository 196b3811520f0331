"""One process, or several that train one model together.

Every process runs the same program on the same global batches. Each reads its part of
a batch, all know every result, and only the first writes files and to the terminal.
JAX is not imported before `start`: commands without it call `is_first` too.
"""

from __future__ import annotations

import numpy as np

from tfds_builders.common.errors import InputError

# Index and number of processes; set once, by `start`.
_index, _count = 0, 1


def start(address: str = "", count: int = 0, index: int = -1) -> None:
    """Joins the other processes; must come before any other use of JAX.

    Args:
      address: 'host:port' of the first process; empty if a scheduler knows it (Slurm,
        Open MPI, Kubernetes, TPU pods: what `jax.distributed` detects).
      count, index: the number of processes and the index of this one, 0..count-1;
        only with an address.

    Raises:
      InputError: some are missing, there is no scheduler, or others do not connect.
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
            f"the processes could not connect: {str(error).splitlines()[0]}",
            "start --process=0 to N-1 with the same --coordinator, the first on "
            "that host; --distributed needs the environment of a scheduler",
        ) from error
    _index, _count = jax.process_index(), jax.process_count()


def count() -> int:
    """Returns the number of processes; 1 unless `start` was called."""
    return _count


def is_first() -> bool:
    """Whether this is the process that writes."""
    return _index == 0


def part(indices: np.ndarray) -> np.ndarray:
    """Returns the positions that this process reads, of those [B] in a global batch."""
    size = len(indices) // _count
    return indices[_index * size :][:size]


def wait(name: str) -> None:
    """Waits until all processes have reached this point."""
    if _count > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def anywhere(flag: bool) -> bool:
    """True everywhere if it is true anywhere; all must call it at the same point."""
    return bool(largest(int(flag)))


def largest(number: int) -> int:
    """Returns the largest number of any process; all must call it at the same point."""
    if _count == 1:
        return number
    from jax.experimental import multihost_utils

    return int(multihost_utils.process_allgather(np.array(number, np.int32)).max())


def from_first(numbers: list[float]) -> list[float]:
    """Returns the numbers of the first process; all must call it at the same point.

    Training decisions depend on such numbers: another processor may round them
    differently, and the processes would diverge.
    """
    if _count == 1:
        return numbers
    from jax.experimental import multihost_utils

    # JAX would turn float64 into float32, but leaves integers as they are.
    bits = np.array(numbers, np.float64).view(np.int32)
    bits = np.asarray(multihost_utils.broadcast_one_to_all(bits))
    return bits.view(np.float64).tolist()
