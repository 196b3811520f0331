"""Files of examples (shards), and reading ahead (parallel)."""

import threading
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.parallel import in_order
from tfds_builders.common.shards import shards


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 200), st.integers(1, 40))
def test_files_hold_everything_once_and_evenly(count, largest):
    files = [list(file()) for file in shards(iter(range(count)), count, largest)]
    assert list(chain(*files)) == list(range(count))
    lengths = [len(file) for file in files]
    assert max(lengths) <= largest
    assert max(lengths) - min(lengths) <= 1
    assert len(files) == -(-count // largest)


def test_examples_are_taken_when_they_are_written():
    taken = []
    stream = (taken.append(i) or i for i in range(10))
    one, two = shards(stream, 10, 5)
    assert taken == []
    assert list(one()) == [0, 1, 2, 3, 4]
    assert taken == [0, 1, 2, 3, 4]
    assert list(two()) == [5, 6, 7, 8, 9]


def test_order_is_kept_and_little_waits(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    first_may_end = threading.Event()
    asked = []

    def items():
        for i in range(50):
            asked.append(i)
            yield i

    def work(i):
        if i == 0:
            first_may_end.wait(10)  # the slowest comes first all the same
        else:
            first_may_end.set()
        return i * i

    results = in_order(work, items())
    assert next(results) == 0
    assert len(asked) <= 5
    assert list(results) == [i * i for i in range(1, 50)]


def test_errors_arrive():
    def work(i):
        return 1 / (3 - i)

    results = in_order(work, range(6))
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
