"""Layers that are frozen, slower, or wake later."""

import jax
import numpy as np
import pytest

from cxr_jax import experiment, rates, rng, trees
from cxr_jax.devices import sharding
from cxr_jax.steps import Settings
from tfds_builders.common.errors import InputError

NOW = Settings(np.float32(0.1), np.float32(0.01), np.float32(1.0))


@pytest.fixture
def one_step(tiny_config):
    """A step of plain descent: {name: (before, after)}, the state, the metrics."""

    def run(steps: int = 1, **optim):
        with tiny_config.unlocked():
            tiny_config.optim.name, tiny_config.optim.settings = "sgd", {"decay": 0.0}
            tiny_config.optim.clip_norm = 0.0
            tiny_config.optim.update(optim)
        exp = experiment.build(tiny_config, train_examples=40)
        generator = np.random.default_rng(0)
        size = tiny_config.data.size
        count = tiny_config.batch_size
        batch = {
            "image": generator.integers(0, 65536, (count, size, size, 1), np.uint16),
            "scores": generator.integers(0, 4, (count, 6), np.int32),
        }
        batch = sharding.put(batch, exp.mesh)
        begin = state = exp.init()
        step = jax.jit(exp.train_step)
        for _ in range(steps):
            before = state
            state, metrics = step(state, batch, rng.root(0), NOW)
        return begin, before, state, metrics

    return run


def moved(before, after) -> dict[str, bool]:
    one, other = (trees.by_name(state.params) for state in (before, after))
    return {n: not np.array_equal(one[n], other[n]) for n in one}


def test_a_frozen_layer_stays_and_the_rest_learns(one_step):
    begin, _, after, metrics = one_step(layers=("^stage1: 0",))
    for name, has_moved in moved(begin, after).items():
        assert has_moved == (not name.startswith("stage1")), name
    norms = dict(zip(trees.by_name(begin.params), metrics["layer_norms"], strict=True))
    assert norms["stage1_conv1/kernel"] == 0 < norms["fc/kernel"]


def test_batch_norms_of_frozen_layers_keep_their_statistics(one_step):
    begin, _, after, _ = one_step(layers=("^stage1: 0",))
    one, other = (trees.by_name(state.model_state) for state in (begin, after))
    for name in one:
        same = np.array_equal(one[name], other[name])
        assert same == name.startswith("batch_stats/stage1"), name


def test_all_norms_can_keep_their_statistics(one_step):
    begin, _, after, _ = one_step(frozen_norms=".")
    jax.tree.map(np.testing.assert_array_equal, begin.model_state, after.model_state)
    assert all(moved(begin, after).values())


def test_a_factor_scales_the_step(one_step):
    begin, _, full, _ = one_step()
    _, _, tenth, _ = one_step(layers=("kernel$: 0.1",))
    start, whole, part = (trees.by_name(s.params) for s in (begin, full, tenth))
    for name, leaf in start.items():
        share = 0.1 if name.endswith("kernel") else 1.0
        np.testing.assert_allclose(
            part[name] - leaf, share * (whole[name] - leaf), rtol=1e-3, atol=1e-6
        )


def test_a_layer_wakes_at_its_step(one_step):
    """Batch norms of a sleeping layer go on counting: it has not been frozen."""
    layers = ("^fc: 0.5 from 2 steps",)
    begin, _, after, _ = one_step(2, layers=layers)
    assert not moved(begin, after)["fc/kernel"]
    _, before, after, _ = one_step(3, layers=layers)
    assert moved(before, after)["fc/kernel"]


def test_the_first_entry_that_fits_decides():
    params = {"a": {"kernel": np.zeros(1), "bias": np.zeros(1)}, "b": np.zeros(1)}
    found = rates.parse(("bias$: 2", "^a: 0 from 3 steps"), params, lambda text: 3)
    assert found == {
        "a/bias": rates.Rate(2.0, 0),
        "a/kernel": rates.Rate(0.0, 3),
        "b": rates.Rate(),
    }


@pytest.mark.parametrize(
    "layers, message",
    [
        (("conv1",), "cannot be read"),
        (("conv1: fast",), "cannot be read"),
        (("conv1: -1",), "cannot be read"),
        (("(: 1",), "cannot be read"),
        (("nothing: 1",), "fits no parameter"),
        ((".: 0",), "freezes everything"),
    ],
)
def test_entries_that_make_no_sense_are_refused(layers, message):
    with pytest.raises(InputError, match=message):
        rates.parse(layers, {"conv1": np.zeros(1)}, int)


def test_a_beginning_is_a_duration(tiny_config):
    with tiny_config.unlocked():
        tiny_config.optim.layers = ("^fc: 1 from 2 epochs",)
    exp = experiment.build(tiny_config, train_examples=40)
    assert exp.rates["fc/kernel"].start == round(80 / tiny_config.batch_size)
    with tiny_config.unlocked():
        tiny_config.optim.layers = ("^fc: 1 from soon",)
    with pytest.raises(InputError, match="no duration"):
        experiment.build(tiny_config, train_examples=40)
