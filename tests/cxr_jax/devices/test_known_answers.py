"""The compiler is compared with numpy before its numbers are used."""

import sys

import jax
import numpy as np
import pytest

from cxr_jax.devices import known_answers
from tfds_builders.common.errors import InputError

PROGRAMS = {program.name: program for program in known_answers.programs()}


@pytest.fixture
def cache(tmp_path):
    """An empty compilation cache."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    known_answers.require.cache_clear()
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)
    known_answers.require.cache_clear()


@pytest.mark.parametrize("name", PROGRAMS)
def test_this_compiler_gives_the_known_answers(name):
    assert known_answers.error(PROGRAMS[name]) < 1e-5


@pytest.mark.parametrize("name", PROGRAMS)
def test_one_wrong_partial_sum_is_noticed(name):
    """As in jaxlib 0.10.2: the last value is computed from only part of its terms."""
    program = PROGRAMS[name]

    def wrong(*arrays):
        right = program.reference(*(np.asarray(a, np.float64) for a in arrays))
        flat = right.ravel().astype(np.float32)
        flat[np.abs(flat).argmax()] *= 0.98
        return flat.reshape(right.shape)

    shape = program.reference(*(a.astype(np.float64) for a in program.arrays)).shape
    faulty = program._replace(
        function=lambda *arrays: jax.pure_callback(
            wrong, jax.ShapeDtypeStruct(shape, np.float32), *arrays
        )
    )
    assert known_answers.error(faulty) > known_answers.TOLERANCE


def test_gradients_match_those_of_jax():
    """Both gradients of the programs against jax's."""
    x, kernel = PROGRAMS["convolution"].arrays
    _, dy = PROGRAMS["convolution's kernel gradient"].arrays
    _, gradients = jax.vjp(PROGRAMS["convolution"].function, x, kernel)
    to_picture, to_kernel = gradients(dy)
    find = PROGRAMS["convolution's image gradient"].reference
    np.testing.assert_array_equal(find(kernel, dy), to_picture)
    find = PROGRAMS["convolution's kernel gradient"].reference
    np.testing.assert_array_equal(find(x, dy), to_kernel)


BEGUN = 'print(\'{"name": "scan"}\', flush=True); '


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('print(\'{"name": "scan", "error": 0.02}\')', ["wrong scan", "2.00%"]),
        ('print(\'{"name": "scan", "error": Infinity}\')', ["wrong scan"]),
        (BEGUN + "import os; os.abort()", ["SIGABRT", "scan"]),
        (BEGUN + "raise MemoryError('no room')", ["no room", "scan"]),
        (BEGUN + "import time; time.sleep(60)", ["within 1 s", "scan"]),
    ],
    ids=["wrong", "infinite", "crash", "error", "hang"],
)
def test_the_wrong_program_is_named(code, words):
    (fault,) = known_answers.run([sys.executable, "-c", code], seconds=1)
    assert all(word in fault for word in words)


def test_the_other_process_finds_what_this_one_found(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text('print(\'{"name": "x", "error": 1}\')')
    monkeypatch.syspath_prepend(tmp_path)
    (fault,) = known_answers.run([sys.executable, "-m", "only_here"])
    assert "wrong x" in fault


def test_runs_once_per_compiler_and_flags(cache, monkeypatch):
    asked = []
    monkeypatch.setattr(
        known_answers, "run", lambda command: asked.append(command) or []
    )
    for flags in ("--a", "--a", "--b", "--a"):
        monkeypatch.setenv("XLA_FLAGS", flags)
        known_answers.require.cache_clear()
        known_answers.require()
    assert len(asked) == 2
    assert len(list(cache.iterdir())) == 2


def test_a_fault_stops_the_program_and_is_not_cached(cache, monkeypatch):
    monkeypatch.setattr(known_answers, "run", lambda command: ["computes a wrong scan"])
    for _ in range(2):
        with pytest.raises(InputError, match="jaxlib .*wrong scan"):
            known_answers.require()
    assert not list(cache.iterdir())


def test_the_real_programs_pass_in_a_separate_process():
    command = [sys.executable, "-m", "cxr_jax.devices.known_answers"]
    assert known_answers.run(command) == []
