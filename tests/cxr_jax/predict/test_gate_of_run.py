"""The gate of a run, widened by films of another hospital."""

import cv2
import numpy as np
import pytest

from benchmarks import gate_films
from cxr_jax.gate.judge import judge
from cxr_jax.predict import gate_of_run, of_run, squares
from tfds_builders.common.errors import InputError


@pytest.fixture(scope="module")
def opened(trained):
    return of_run.open_run(trained)


def refused(gate, opened, films):
    given = np.stack([squares.square(f, opened.recipe.preprocess) for f in films])
    features = opened.network(given).features
    found = [judge(gate, f, each) for f, each in zip(films, features, strict=True)]
    return sum(not each.passed for each in found)


def closely_cut(count):
    """Films without a fifth of each side."""
    whole = [read() for read in gate_films.phantoms(count).read]
    edge = len(whole[0]) // 5
    return [np.ascontiguousarray(film[edge:-edge, edge:-edge]) for film in whole]


def test_films_of_another_hospital_pass_a_gate_that_knows_such_films(opened, tmp_path):
    films = closely_cut(60)
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for path, film in zip(paths, films, strict=False):
        cv2.imwrite(str(path), film)
    own = gate_of_run.fitted(opened)
    wider = gate_of_run.fitted(opened, paths)
    assert wider.films == own.films + 40
    unseen = films[40:]
    assert refused(own, opened, unseen) > 10
    assert refused(wider, opened, unseen) <= 2
    negatives = [255 - film for film in unseen]
    assert refused(wider, opened, negatives) == len(negatives)


def test_a_file_that_is_no_film_is_named(opened, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match="broken.png"):
        gate_of_run.fitted(opened, [tmp_path / "broken.png"])
