"""The cores and GPUs of this machine, shared out among runs that go on side by side."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tfds_builders.common.errors import InputError

# Of the memory of a GPU, among the runs that share it.
_SHARED = 0.9
# What asks for as many threads as there are cores, unless told otherwise. The last is
# XLA's: it sizes the pool of its CPU client, also where there is no affinity (macOS).
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",
)


class Slot(NamedTuple):
    """What one process may use.

    Attributes:
      cores: numbers of its cores; those of another slot where there are too few.
      gpus: names of its GPUs, for CUDA_VISIBLE_DEVICES.
      environment: variables that say so.
    """

    cores: tuple[int, ...]
    gpus: tuple[str, ...]
    environment: dict[str, str]


def share(
    parallel: int,
    cores: list[int],
    gpus: list[str],
    environment: Mapping[str, str] = os.environ,
) -> list[Slot]:
    """As many equal slots as there are processes at once.

    Args:
      parallel: how many.
      cores: numbers of all cores; left over ones go to the first slots.
      gpus: names of all GPUs; with more processes than GPUs several share one, and
        its memory.
      environment: a number of threads that is set there stays.

    Raises:
      InputError: not one process.
    """
    if parallel < 1:
        raise InputError("--parallel", f"is {parallel}", "give 1 or more")
    made = []
    for k in range(parallel):
        own = cores[k::parallel] or [cores[k % len(cores)]]
        names = _THREADS if parallel > 1 else ()
        variables: dict[str, str] = {name: str(len(own)) for name in names}
        given = {name: environment[name] for name in variables if name in environment}
        devices = gpus[k::parallel] if gpus else []
        if gpus and not devices:
            devices = [gpus[k % len(gpus)]]
        if gpus:
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
        if len(gpus) < parallel and gpus:
            sharing = -(-parallel // len(gpus))
            variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{_SHARED / sharing:.3f}"
        made.append(Slot(tuple(sorted(own)), tuple(devices), variables | given))
    return made


def cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the NVIDIA GPUs that this process may use; none where JAX runs on a CPU.

    Errors: none; a machine whose driver does not answer has no GPU.
    """
    platforms = environment.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return []
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    try:
        found = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return found.stdout.split()


@contextlib.contextmanager
def pinned(slot: Slot) -> Iterator[None]:
    """A process that is started within may use the cores of the slot only (Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)  # of this thread; a child inherits it
    os.sched_setaffinity(0, slot.cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
