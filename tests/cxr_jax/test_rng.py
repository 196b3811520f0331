import zlib

import jax
import numpy as np

from cxr_jax import rng


def bits(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_stream_is_two_fold_ins_of_the_root():
    expected = jax.random.fold_in(
        jax.random.fold_in(jax.random.key(3), zlib.crc32(b"augment")), 17
    )
    assert bits(rng.stream(rng.root(3), "augment", 17)) == bits(expected)


def test_streams_differ_by_seed_name_and_step():
    keys = [
        rng.stream(rng.root(seed), name, step)
        for seed in (0, 1)
        for name in ("augment", "dropout")
        for step in (None, 0, 1)
    ]
    assert len({bits(key) for key in keys}) == len(keys)


def test_a_traced_step_draws_what_a_python_step_draws():
    traced = jax.jit(lambda step: rng.stream(rng.root(0), "dropout", step))(5)
    assert bits(traced) == bits(rng.stream(rng.root(0), "dropout", 5))


def test_names_with_a_checksum_above_2_31_work():
    name = "dropout"
    assert zlib.crc32(name.encode()) >= 2**31
    assert bits(rng.stream(rng.root(0), name)) != bits(rng.root(0))


def test_generator_depends_only_on_seed_and_name():
    first = rng.generator(0, "bootstrap").random(4)
    rng.generator(0, "init").random(100)
    np.testing.assert_array_equal(first, rng.generator(0, "bootstrap").random(4))
    assert not np.array_equal(first, rng.generator(1, "bootstrap").random(4))
    assert not np.array_equal(first, rng.generator(0, "init").random(4))
