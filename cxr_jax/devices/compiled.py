"""The cache of compiled programs on the disk, each with a digest of its own.

JAX hands the bytes of an entry to the compiler as they are: half an entry, which a kill
leaves, or a flipped bit may end the process. Here an entry is used only if its digest
agrees; otherwise the program is compiled again.
"""

from __future__ import annotations

import hashlib
import pathlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

_noting = threading.local()
# Other programs may share the folder: an entry of ours has a name of its own.
_OURS = "-sha256"
_LENGTH = hashlib.sha256().digest_size


class Checked:
    """A cache of JAX that keeps its entries behind their digests.

    Args:
      base: keeps them, and drops old ones where their size is limited.
    """

    def __init__(self, base: Any):
        self._base = base
        self._path = base._path

    def get(self, key: str) -> bytes | None:
        """The entry; None where there is none, or another than was put there."""
        data = self._base.get(key + _OURS)
        if data is None:
            return None
        digest, value = data[:_LENGTH], data[_LENGTH:]
        if hashlib.sha256(value).digest() == digest:
            _note(value)
            return value
        self.drop(key)
        return None

    def put(self, key: str, value: bytes) -> None:
        """Keeps it, unless there is one."""
        _note(value)
        self._base.put(key + _OURS, hashlib.sha256(value).digest() + value)

    def drop(self, key: str) -> None:
        """What cannot be used goes: JAX does not write over what is there."""
        pathlib.Path(f"{self._path}/{key}{_OURS}-cache").unlink(missing_ok=True)

    def clear(self) -> None:
        """Of the folder's other users too, as JAX does."""
        self._base.clear()


class _MakeChecked(NamedTuple):
    """JAX's function from a path to (cache, path), with entries that are checked."""

    make: Callable[[str], Any]

    def __call__(self, path: str):
        found = self.make(path)
        return None if found is None else (Checked(found[0]), found[1])


def use(folder: pathlib.Path) -> None:
    """Keeps what is compiled in a folder; the programs are checked when read.

    A version of JAX whose cache has another form gets none at all: unchecked programs
    may crash.
    """
    try:
        from jax._src import compilation_cache

        make = compilation_cache.get_file_cache
    except (ImportError, AttributeError):
        jax.config.update("jax_enable_compilation_cache", False)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    if isinstance(make, _MakeChecked):
        return
    compilation_cache.get_file_cache = _MakeChecked(make)


@contextmanager
def noted() -> Iterator[list[bytes]]:
    """The programs that this thread compiles, or reads from the cache of `use`."""
    _noting.entries = []
    try:
        yield _noting.entries
    finally:
        del _noting.entries


def _note(entry: bytes) -> None:
    if hasattr(_noting, "entries"):
        _noting.entries.append(entry)


def program(entry: bytes) -> bytes:
    """What the compiler made, of an entry of JAX."""
    from jax._src import compilation_cache

    data = compilation_cache.decompress_executable(entry)
    return compilation_cache.extract_executable_and_time(data)[0]


def opened() -> Checked | None:
    """The cache of `use`; None where there is none, or its folder cannot be made."""
    try:
        from jax._src import compilation_cache

        make = compilation_cache.get_file_cache
        folder = jax.config.jax_compilation_cache_dir
        found = make(folder) if folder and isinstance(make, _MakeChecked) else None
    except (ImportError, AttributeError, OSError, RuntimeError):
        return None
    return None if found is None else found[0]
