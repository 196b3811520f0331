"""Programs that are kept compiled: used without tracing, and never where they differ."""

import importlib
import itertools
import os
import pickle
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.devices import ahead, compiled, sharding

X = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


def jitted(function, **options):
    everywhere = sharding.replicated(sharding.make_mesh(2))
    return jax.jit(function, out_shardings=everywhere, **options)


class Traced:
    """A function that counts how often it is traced."""

    def __init__(self):
        self.times = 0

    def kept(self, decided_by="f"):
        """As in a new process, of which JAX remembers nothing."""

        def function(x):
            self.times += 1
            whitened = (x - x.mean(0, keepdims=True)) * jax.lax.rsqrt(
                x.var(0, keepdims=True) + 1e-5
            )
            return {"y": whitened @ x.T, "sum": (jnp.sin(x) * x).sum(1)}

        return ahead.Kept(lambda: jitted(function), decided_by)


def same(one, other):
    return jax.tree.map(bytes_of, one) == jax.tree.map(bytes_of, other)


def bytes_of(array):
    return np.asarray(array).tobytes()


def entries(folder):
    return sorted(folder.glob("ahead-*"))


def test_it_is_used_without_tracing_and_gives_the_same_bits(kept_programs):
    traced = Traced()
    first = traced.kept()(X)
    assert traced.times == 1 and len(entries(kept_programs)) == 1
    assert same(traced.kept()(X), first) and traced.times == 1
    np.testing.assert_allclose(first["sum"], (np.sin(X) * X).sum(1), rtol=1e-6)


def test_a_program_that_jax_had_in_its_cache_is_kept_whole(kept_programs):
    """XLA:CPU would lose its functions, and say so when they are called."""
    traced = Traced()
    first = traced.kept()(X)
    (entry,) = entries(kept_programs)
    entry.unlink()
    assert same(traced.kept()(X), first)  # read from the cache of JAX, and kept
    assert len(entries(kept_programs)) == 1
    assert same(traced.kept()(X), first) and traced.times == 2


def test_another_function_shape_or_type_is_another_program(kept_programs):
    traced = Traced()
    arguments = [X, X[:2], X.astype(np.float16)]
    found = [traced.kept()(each) for each in arguments] + [traced.kept("g")(X)]
    assert traced.times == 4 and len(entries(kept_programs)) == 4
    again = [traced.kept()(each) for each in arguments] + [traced.kept("g")(X)]
    assert traced.times == 4 and all(map(same, found, again))


@pytest.mark.parametrize("what", ["setting", "variable", "package", "processor"])
def test_other_surroundings_are_another_program(kept_programs, monkeypatch, what):
    traced = Traced()
    traced.kept()(X)
    if what == "variable":
        monkeypatch.setenv("XLA_FLAGS_OF_A_TEST", "1")
    elif what == "package":
        monkeypatch.setattr(ahead, "_installed", lambda: ["numpy-0.1.dist-info"])
    elif what == "processor":
        monkeypatch.setattr(ahead, "_processor", lambda: ["flags: none"])
    with jax.default_matmul_precision("highest" if what == "setting" else None):
        traced.kept()(X)
    assert traced.times == 2 and len(entries(kept_programs)) == 2


def test_other_code_is_another_program_and_edited_code_is_none(
    kept_programs, tmp_path, monkeypatch
):
    path = tmp_path / "model_of_a_user.py"
    path.write_text("FACTOR = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(path.stem)
    monkeypatch.setattr(ahead, "_code", ahead._code.__wrapped__)
    before = ahead._code()
    path.write_text("FACTOR = 2\n")
    assert before and ahead._code() not in (before, None)
    monkeypatch.setattr(ahead, "_LOADED", os.stat(path).st_mtime - 1)
    traced = Traced()
    traced.kept()(X)
    assert ahead._code() is None and not entries(kept_programs)
    del sys.modules[path.stem]


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "empty"])
def test_a_damaged_entry_is_compiled_and_replaced(kept_programs, damage):
    traced = Traced()
    first = traced.kept()(X)
    (entry,) = entries(kept_programs)
    data = entry.read_bytes()
    if damage == "other":  # whole, but no program
        entry.unlink()
        key = entry.name.removesuffix("-sha256-cache")
        compiled.opened().put(key, pickle.dumps("no program"))
    else:
        flipped = data[:500] + bytes([data[500] ^ 1]) + data[501:]
        entry.write_bytes({"cut": data[:-9], "flipped": flipped, "empty": b""}[damage])
    assert same(traced.kept()(X), first) and traced.times == 2
    assert same(traced.kept()(X), first) and traced.times == 2


def test_without_a_folder_it_is_compiled(kept_programs):
    kept_programs.parent.joinpath("file").write_text("")
    for place in (None, str(kept_programs.parent / "file"), "/proc/none"):
        jax.config.update("jax_compilation_cache_dir", place)
        traced = Traced()
        np.testing.assert_allclose(
            traced.kept()(X)["sum"], (np.sin(X) * X).sum(1), rtol=1e-6
        )


def test_several_that_begin_at_once_agree(kept_programs):
    traced, found = Traced(), []
    threads = [
        threading.Thread(target=lambda: found.append(traced.kept()(X)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(same(one, other) for one, other in itertools.pairwise(found))
    before = traced.times
    assert same(traced.kept()(X), found[0]) and traced.times == before


def test_what_is_donated_is_used_up(kept_programs):
    def step(state, key, rate):
        return jax.tree.map(lambda x: x - rate * jax.random.normal(key, (3,)), state)

    def run():
        kept = ahead.Kept(lambda: jitted(step, donate_argnums=0), "step")
        state = sharding.replicate({"w": np.ones(3)}, sharding.make_mesh(2))
        found = kept(state, jax.random.key(1), np.float32(0.1))
        assert state["w"].is_deleted()
        return bytes_of(found["w"])

    assert run() == run() and len(entries(kept_programs)) == 1
