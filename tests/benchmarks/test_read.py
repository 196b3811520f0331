"""The benchmark at a tiny size: it runs, and reads what it claims to read."""

import importlib.util
import itertools

import numpy as np
import pytest

from benchmarks import films as films_lib
from benchmarks import read, readers


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    data_dir = films_lib.draw(folder, "brixia/256", 64, 12)
    return films_lib.Films(data_dir, "brixia/256", 64, records=24, batch_size=4)


@pytest.fixture(scope="module")
def deflated(films):
    return films._replace(data_dir=films_lib.deflated(films.data_dir, films.dataset))


@pytest.mark.parametrize(
    "reader", [*read.FROM_DISK, *read.FROM_MEMORY], ids=lambda r: r.__name__
)
def test_all_readers_return_the_films(films, reader):
    package = reader.__name__.split("_")[0]
    if package in ("torch", "tensorflow"):
        pytest.importorskip(package)
    stream = reader(films)
    for batch in itertools.islice(stream, 2):
        read.check(batch, films)


def test_images_that_are_not_the_films_are_noticed(films):
    batch = next(readers.ours(films))
    with pytest.raises(AssertionError, match="none of the films"):
        read.check(batch + np.uint16(1), films)
    with pytest.raises(AssertionError, match="shape"):
        read.check(batch[1:], films)


def test_deflated_films_are_the_same_films(films, deflated):
    assert deflated.data_dir != films.data_dir
    assert deflated.hashes() == films.hashes()


def test_readers_are_timed_in_separate_processes(films):
    chosen = (readers.ours, readers.torch_held)
    rates = read.measure(films, chosen, repeats=2, batches=3, untimed=2)
    if importlib.util.find_spec("torch") is None:
        assert rates.pop("torch_held") == "torch is not installed"
    for found in rates.values():
        assert len(found) == 2 and min(found) > 0
    assert "ours" in rates


def test_the_table_shows_medians_ratios_and_what_is_missing():
    lines = read.table(
        {"ours": [90.0, 100.0, 2000.0], "theirs": [50.0], "other": "x is not installed"}
    )
    assert [line.split() for line in lines] == [
        ["ours", "100", "90", "..", "2,000", "n=3", "1.00"],
        ["theirs", "50", "50", "..", "50", "n=1", "2.00"],
        ["other", "x", "is", "not", "installed"],
    ]
