"""The cost of a full set follows from what a sample takes."""

import pytest

from benchmarks import full_sets
from benchmarks.full_sets import FullSet, Used


def test_a_film_costs_what_the_longer_run_takes_more():
    one, more = Used(20.0, 1, 32), Used(84.0, 1, 32)
    assert full_sets.per_film(one, more, 4) == pytest.approx(64 / 128)


def test_an_epoch_is_train_on_all_cores():
    own = FullSet(1000, "unused", side=100, values=2)
    minutes, memory = full_sets.scaled(own, 0.5, 10**9, sample=200, cores=2)
    assert minutes == pytest.approx(1000 * 0.7 * 0.5 / 2 / 60)
    assert memory == pytest.approx(1.0 + 800 * 100 * 100 * 2 / 1e9)


@pytest.mark.parametrize("name", full_sets.SETS)
def test_the_config_of_a_set_is_that_of_its_data(name):
    from launch import plan

    own = full_sets.SETS[name]
    config = plan.alone(own.config, {})
    assert config["data"]["size"] == own.side and config["data"]["phantom"]
