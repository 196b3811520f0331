"""The cache of compiled programs, with damaged entries."""

import hashlib
import os
import subprocess
import sys

import pytest

from cxr_jax.devices.compiled import Checked

CODE = """
import pathlib, sys, jax, jax.numpy as jnp
from cxr_jax.devices import compiled
compiled.use(pathlib.Path(sys.argv[1]))
print(float(jax.jit(lambda x: jnp.sin(x) @ x.T)(jnp.ones((3, 3))).sum()))
"""


class Base:
    """A cache of JAX in a folder, which does not write over an entry."""

    def __init__(self, folder):
        self._path = folder

    def get(self, key):
        path = self._path / f"{key}-cache"
        return path.read_bytes() if path.exists() else None

    def put(self, key, value):
        path = self._path / f"{key}-cache"
        if not path.exists():
            path.write_bytes(value)


@pytest.mark.parametrize("length", [0, 10, 31, 32, 33, 40])
def test_an_entry_that_was_cut_is_dropped_and_written_again(tmp_path, length):
    cache = Checked(Base(tmp_path))
    cache.put("k", b"x" * 100)
    assert cache.get("k") == b"x" * 100 and cache.get("other") is None
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:length])
    assert cache.get("k") is None
    cache.put("k", b"y")
    assert cache.get("k") == b"y"


def test_any_flipped_bit_is_noticed(tmp_path):
    cache = Checked(Base(tmp_path))
    cache.put("k", bytes(range(20)))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        assert cache.get("k") is None


def test_programs_with_a_flipped_bit_are_compiled_again(tmp_path):
    def run():
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(tmp_path)],
            env={k: v for k, v in os.environ.items() if "COMPILATION_CACHE" not in k},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    first = run()
    entries = list(tmp_path.glob("*-sha256-cache"))
    assert entries and not [p for p in tmp_path.glob("*-cache") if p not in entries]
    whole = {path: path.read_bytes() for path in entries}
    for path, data in whole.items():
        path.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    assert run() == first
    # Compiled again, a program need not have the same bytes; its digest has to fit.
    for path in whole:
        again = path.read_bytes()
        assert hashlib.sha256(again[32:]).digest() == again[:32]
