"""A run scores a film as it scored the prepared example of it: to the bit."""

import csv

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cxr_jax.devices import ahead
from cxr_jax.predict import of_run, record, squares


@pytest.fixture(scope="module")
def opened(trained):
    return of_run.open_run(trained)


@pytest.fixture(scope="module")
def films(brixia_data):
    source = tfds.data_source("brixia/256", data_dir=brixia_data, split="test")
    return {each["example_id"].decode(): each["image"][..., 0] for each in source}


@pytest.fixture(scope="module")
def written(trained):
    with (trained / "predictions" / "brixia-test.csv").open() as file:
        return {row["example_id"]: row for row in csv.DictReader(file)}


def test_probabilities_are_those_of_the_run_to_the_bit(opened, films, written):
    names = sorted(films, reverse=True)  # another order than that of the split
    images = np.stack(
        [squares.square(films[name], opened.recipe.preprocess) for name in names]
    )
    found = opened.network(images)
    assert found.probs.dtype == np.float32
    for name, probs in zip(names, found.probs, strict=True):
        made = record.record(opened.recipe, "a.png", name, probs)
        same = {key for key in made if key in written[name]} - {"example_id"}
        assert len(same) == 6 * 5
        assert {k: str(made[k]) for k in same} == {k: written[name][k] for k in same}


def test_a_film_alone_is_scored_as_among_others(trained, opened, films):
    """To the bit; what the gate and the picture are given, up to rounding."""
    names = sorted(films)[:3]
    images = np.stack(
        [squares.square(films[name], opened.recipe.preprocess) for name in names]
    )
    together = opened.network(images)
    first = of_run.open_run(trained).network  # was asked for nothing so far
    for network in (first, opened.network):
        for place in range(len(images)):
            alone = network(images[place : place + 1])
            assert alone.probs.tobytes() == together.probs[place].tobytes()
            np.testing.assert_allclose(
                alone.features[0], together.features[place], rtol=1e-5, atol=1e-6
            )
            np.testing.assert_allclose(
                alone.heatmap[0], together.heatmap[place], rtol=1e-4, atol=1e-5
            )


def test_a_run_that_is_opened_again_traces_nothing_and_scores_alike(
    trained, films, kept_programs, monkeypatch
):
    film = next(iter(films.values()))

    def score():
        opened = of_run.open_run(trained)
        return opened.network(squares.square(film, opened.recipe.preprocess)[None])

    first = score()
    assert len(list(kept_programs.glob("ahead-*"))) == 2

    def refuse(*_):
        raise AssertionError("was compiled")

    monkeypatch.setattr(ahead, "_keep", refuse)
    again = score()
    for one, other in zip(first, again, strict=True):
        assert one.tobytes() == other.tobytes()
