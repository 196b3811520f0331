"""Jitted functions whose compiled programs are kept, and need not be traced again.

JAX's own cache is asked with what a function was traced to, and tracing a network takes
longer than reading its program. Here the question is a digest of all that decides the
trace: the code, the packages, the settings, the device, the shapes, and what the caller
names. Where one of these differs, or an entry is damaged, the function is compiled.
Whoever may write into the folder may run code here, as with JAX's own cache.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import json
import os
import pathlib
import pickle
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.experimental import serialize_executable

from cxr_jax.devices import compiled, known_answers, sharding

_PACKAGES = ("cxr_jax", "tfds_builders")
# Of the environment: what JAX and its compilers read.
_VARIABLES = ("JAX_", "XLA_", "TF_", "LIBTPU", "CUDA_", "NVIDIA_")
# Settings of JAX that say where and when its own cache is used.
_OF_CACHE = ("jax_compilation_cache", "jax_persistent_cache")
# Of an entry in another form, or that the compiler refuses; of a program that JAX cannot
# write, or a full disk. Each has errors of its own, of Python and of XLA (RuntimeError).
_FAULTS = (ArithmeticError, AssertionError, AttributeError, EOFError, ImportError)
_FAULTS += (LookupError, OSError, RuntimeError, TypeError, ValueError)
_FAULTS += (pickle.PickleError,)
# A file that was edited later may not be the code that this process runs.
_LOADED = time.time() - 10


class Kept:
    """A jitted function, called as it is.

    Args:
      make: () -> the function, jitted, which is pure, of arrays, and whose results are on
        all devices; not called where its programs are kept.
      decided_by: what it was made from, as JSON: two functions of one text are equal.
    """

    def __init__(self, make: Callable[[], Any], decided_by: str):
        self._function, self._decided_by = functools.cache(make), decided_by
        self._programs: dict[Any, Callable[..., Any]] = {}
        self._last: Callable[..., Any] | None = None
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Any:
        # A program checks its arguments itself, and looking it up takes milliseconds for
        # the thousand arrays of a training.
        if self._last is not None:
            with contextlib.suppress(TypeError, ValueError):  # of other shapes
                return self._last(*arguments)
        self._last = self.prepare(*arguments)
        return self._last(*arguments)

    def prepare(self, *arguments: Any) -> Callable[..., Any]:
        """The program for arguments of these shapes, which may be abstract."""
        program = self._prepared(arguments, compiles=True)
        assert program is not None
        return program

    def load(self, *arguments: Any) -> None:
        """The same, if it is kept; else the first call compiles it."""
        self._prepared(arguments, compiles=False)

    def _prepared(self, arguments, *, compiles: bool) -> Callable[..., Any] | None:
        leaves, tree = jax.tree.flatten(arguments)
        kinds = tree, tuple(map(_kind, leaves))
        with self._lock:  # another thread may be preparing it
            program = self._programs.get(kinds)
            if program is None:
                program = self._program(arguments, str(kinds), compiles)
            if program is not None:
                self._programs[kinds] = program
            return program

    def _program(self, arguments, kinds: str, compiles: bool):
        cache, surroundings = _cache(), _surroundings()
        if cache is None or surroundings is None:
            return self._function() if compiles else None
        key = _key("ahead", f"{self._decided_by}\n{kinds}", surroundings)
        program = _read(cache, key)
        if program is None and compiles:
            lowered = self._function().lower(*arguments)
            with compiled.noted() as entries:
                program = lowered.compile()
            if len(entries) == 1:
                _keep(cache, key, program, entries[0])
        return program


def replicated(
    name: str, make: Callable[[], Callable[..., Any]], mesh: Any, decided_by: str
) -> Kept:
    """A function of an experiment, jitted, whose results are on all devices.

    Args:
      name: no other function of the experiment has it.
      make: () -> the function; called only where it has to be traced.
      mesh: of the devices.
      decided_by: of `Experiment`.
    """

    def jitted():
        return jax.jit(make(), out_shardings=sharding.replicated(mesh))

    return Kept(jitted, f"{name} of {decided_by}")


def facts(decided_by: str) -> Any:
    """What `keep_facts` was given for the same text by the same code; None if nothing."""
    cache, surroundings = _cache(), _surroundings()
    if cache is None or surroundings is None:
        return None
    key = _key("facts", decided_by, surroundings)
    try:
        data = cache.get(key)
        return None if data is None else json.loads(data)
    except _FAULTS:
        return None


def keep_facts(decided_by: str, found: Any) -> None:
    """Keeps what the code makes of a text: JSON, where programs are kept."""
    cache, surroundings = _cache(), _surroundings()
    if cache is None or surroundings is None:
        return
    with contextlib.suppress(OSError):
        cache.put(_key("facts", decided_by, surroundings), json.dumps(found).encode())


def _key(kind: str, decided_by: str, surroundings: str) -> str:
    text = f"{decided_by}\n{surroundings}"
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()}"


def _kind(leaf) -> tuple[Any, ...]:
    return leaf.shape, leaf.dtype, getattr(leaf, "sharding", None)


def _read(cache: compiled.Checked, key: str) -> Callable[..., Any] | None:
    try:
        data = cache.get(key)
        if data is None:
            return None
        return serialize_executable.deserialize_and_load(*pickle.loads(data))
    except _FAULTS:
        with contextlib.suppress(OSError):
            cache.drop(key)
        return None


def _keep(cache: compiled.Checked, key: str, program: Any, entry: bytes) -> None:
    try:
        _, *trees = serialize_executable.serialize(program)  # where it can be
        kinds = jax.tree.leaves(program.args_info)
        data = _pickled(program, kinds, compiled.program(entry))
        cache.put(key, pickle.dumps((data, *trees)))
    except _FAULTS:
        return


def _pickled(program: Any, kinds: list[Any], bytes_of_program: bytes) -> bytes:
    """As `serialize` does, with the program as JAX's own cache has it.

    XLA:CPU loses functions of a program that it has read when it writes it again, and
    notices only when they are called (jaxlib 0.12.0.1).
    """

    class Pickler(serialize_executable._JaxPjrtPickler):
        def persistent_id(self, obj):
            found = super().persistent_id(obj)
            return ("exec", bytes_of_program) if found and found[0] == "exec" else found

    file = io.BytesIO()
    unloaded = program._executable._unloaded_executable
    Pickler(file).dump((unloaded, kinds, program._no_kwargs))
    return file.getvalue()


def _cache() -> compiled.Checked | None:
    """That of `compiled.use`; None where there is none, or others must do the same.

    Nor on an accelerator: no program was ever kept and called on one.
    """
    if not jax.config.jax_enable_compilation_cache or jax.process_count() > 1:
        return None
    if jax.default_backend() != "cpu":
        return None
    return compiled.opened()


def _surroundings() -> str | None:
    """Everything but the function that decides what is compiled; None if not known."""
    code, settings = _code(), getattr(jax.config, "values", None)
    if code is None or settings is None:
        return None
    variables = {k: v for k, v in os.environ.items() if k.startswith(_VARIABLES)}
    variables.pop("JAX_COMPILATION_CACHE_DIR", None)
    found = {
        "code": code,
        "python": sys.version,
        "packages": _installed(),
        "compiler": known_answers.identity(),
        "processor": _processor(),
        "devices": [str(device) for device in jax.devices()],
        "settings": {
            name: str(value)
            for name, value in settings.items()
            if not name.startswith(_OF_CACHE)
        },
        "environment": variables,
    }
    return json.dumps(found, sort_keys=True)


@functools.cache
def _code() -> str | None:
    """The digest of all source files that may be traced.

    None where one was edited since it was loaded, or code was typed in.
    """
    if not hasattr(sys.modules["__main__"], "__file__"):
        return None
    digest = hashlib.sha256()
    for path in sorted({*_own_files(), *_other_files()}):
        try:
            data, edited = path.read_bytes(), path.stat().st_mtime
        except OSError:
            return None
        if edited > _LOADED:
            return None
        digest.update(json.dumps([str(path), len(data)]).encode() + data)
    return digest.hexdigest()


def _own_files() -> Iterator[pathlib.Path]:
    for name in _PACKAGES:
        for folder in sys.modules[name].__path__:
            yield from pathlib.Path(folder).rglob("*.py")


def _other_files() -> Iterator[pathlib.Path]:
    """Of modules that were not installed: a user's model, or the script that has it."""
    paths = sysconfig.get_paths()
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    installed = tuple(os.path.join(paths[kind], "") for kind in kinds)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and file.endswith(".py") and not file.startswith(installed):
            yield pathlib.Path(file)


@functools.cache
def _installed() -> list[str]:
    """['numpy-2.4.0.dist-info', ...] of all packages."""
    names = itertools.chain(*map(os.listdir, filter(os.path.isdir, sys.path)))
    return sorted(n for n in names if n.endswith((".dist-info", ".egg-info")))


def _processor() -> list[str]:
    """What the CPU can do, where the system tells: one model may have more or less."""
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted({line for line in lines if line.startswith(("flags", "Features"))})
