"""Buckets of tokens, against the definition."""

from hypothesis import given
from hypothesis import strategies as st

from cxr_jax.serve import rates
from cxr_jax.serve.rates import Rates


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_so_many_at_once_then_so_many_a_minute():
    clock = Clock()
    found = Rates(3, clock)
    assert [found.wait("a") for _ in range(3)] == [0, 0, 0]
    assert found.wait("a") == 20.0
    assert found.wait("b") == 0
    clock.now = 20.0
    assert found.wait("a") == 0
    assert found.wait("a") == 20.0


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 9))
def test_never_more_than_the_bucket_and_what_flowed_in(gaps, most):
    clock = Clock()
    found = Rates(most, clock)
    taken = 0
    for gap in gaps:
        clock.now += gap
        taken += found.wait("a") == 0
        assert taken <= most + clock.now * most / 60 + 1e-6


def test_no_limit():
    found = Rates(0, Clock())
    assert {found.wait("a") for _ in range(1000)} == {0.0}


def test_a_flood_of_addresses_takes_no_more_memory(monkeypatch):
    monkeypatch.setattr(rates, "_MOST", 10)
    found = Rates(2, Clock())
    for number in range(1000):
        found.wait(str(number))
    assert len(found._buckets) <= 10
