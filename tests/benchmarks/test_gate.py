"""The pictures that a gate is measured on, and a row of its table."""

import numpy as np
import pytest

from benchmarks import gate, gate_films
from cxr_jax.gate.fitted import CHECKS


def test_pictures_that_are_no_films():
    groups = list(gate_films.others())
    assert len({group.name for group in groups}) == len(groups)
    for group in groups:
        for read in group.read:
            picture = read()
            assert picture.dtype == np.uint8, group.name
            assert min(picture.shape) >= 64, group.name
            assert picture.ndim == 2, group.name


@pytest.mark.parametrize("name", gate_films.ALTERED)
def test_alterations_keep_the_depth_and_change_the_film(name):
    film = np.arange(100 * 80, dtype=np.uint16).reshape(100, 80)
    found = gate_films.ALTERED[name](film)
    assert found.dtype == film.dtype
    assert not np.array_equal(found, film)
    assert np.isin(film, found).mean() > 0.2 or name == "inverted"


def test_a_row_has_the_share_of_any_check_and_of_each():
    hits = np.zeros((8, len(CHECKS)), bool)
    hits[0, 2] = hits[0, 3] = hits[1, 3] = True
    cells = gate.row("some", hits, list("abcdefgh")).split(" | ")
    assert cells[:2] == ["| some", "8"]
    assert cells[2].startswith("25.0 % (")
    assert [cell.strip(" |") for cell in cells[3:]] == ["", "", "12", "25", "", "", ""]


def test_the_same_films_are_chosen_each_time():
    group = gate_films.phantoms(30)
    chosen = gate.some(group, 10)
    assert chosen.patients == gate.some(group, 10).patients
    assert len(set(chosen.patients)) == 10
    first = group.patients.index(chosen.patients[0])
    np.testing.assert_array_equal(chosen.read[0](), group.read[first]())
