"""How much memory there is left for this process."""

from __future__ import annotations

import os
import pathlib

# Of control groups, version 2 and 1: {controller: (mount, limit, what is used)}. Cached
# files are counted by both, but give way: only what is not of a file is used.
_FILES = {
    "": ("sys/fs/cgroup", "memory.max", "anon"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "total_rss"),
}


def available(root: pathlib.Path = pathlib.Path("/")) -> int:
    """Bytes that can be had without swapping, within the limits of a container.

    Args:
      root: of the file system; Linux tells in `proc` and, of containers and batch
        jobs, in `sys/fs/cgroup`. Elsewhere all memory is taken to be free.
    """
    meminfo = root / "proc/meminfo"
    if not meminfo.exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([_fields(meminfo)["MemAvailable:"] * 1024, *_limits(root)])


def _limits(root: pathlib.Path) -> list[int]:
    """What is left to the group of this process, and to each that holds it."""
    left = []
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controller, path = line.split(":", 2)
        if controller not in _FILES:
            continue
        mount, name, used = _FILES[controller]
        # A container sees its own group at the mount, whatever the path says.
        folder = root / mount / path.lstrip("/")
        for group in (folder, *folder.parents):
            limit = group / name
            if limit.exists() and (text := limit.read_text().strip()) != "max":
                left.append(int(text) - _fields(group / "memory.stat")[used])
    return left


def _fields(path: pathlib.Path) -> dict[str, int]:
    """The lines '<name> <number> ...' of a file."""
    return {
        name: int(number.split()[0])
        for name, number in (
            line.split(maxsplit=1) for line in path.read_text().splitlines()
        )
    }
