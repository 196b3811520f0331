"""Releases are found, prepared once, and given the patients that a list names."""

import numpy as np
import pytest

from cxr_jax.data import builders
from launch.results.releases import Releases
from tfds_builders.common.errors import InputError
from tfds_builders.common.text import csv_text
from tfds_builders.phantom import write_release


@pytest.fixture
def data(tmp_path):
    """A folder with a COVIDGR of 40 films, of which the list makes 10 patients."""
    write_release("covidgr", tmp_path / "data", 40, size=64)
    films = sorted((tmp_path / "data" / "COVIDGR_1.0").glob("[NP]/*"))
    rows = [
        ("COVIDGR_1.0", f"COVIDGR_1.0/{f.parent.name}/{f.name}", f"p{k % 10}")
        for k, f in enumerate(films)
    ]
    text = csv_text([("layout", "path", "patient"), *rows])
    (tmp_path / "data" / "MANIFEST.csv").write_text(text)
    return tmp_path / "data"


def test_a_list_of_sources_names_the_patients(data, tmp_path):
    found = Releases(data, None, tmp_path / "out")
    place = found.folder("covidgr/256")
    table = builders.load(builders.open_builder("covidgr/256", str(place)), "all").table
    assert len(np.unique(table["patient_id"])) == 10
    assert not (data / "COVIDGR_1.0" / "patients.csv").exists()  # it is not ours
    with pytest.raises(InputError, match="a sample of 40 films"):
        found.check_films("covidgr/256", 800)
    found.check_films("covidgr/256", 40)


def test_what_a_user_has_prepared_is_taken(covidgr_data, tmp_path):
    found = Releases(None, covidgr_data, tmp_path / "out")
    assert found.folder("covidgr/256") == covidgr_data
    assert not (tmp_path / "out").exists()


def test_without_data_it_says_what_to_give(tmp_path):
    with pytest.raises(InputError, match="--data"):
        Releases(None, None, tmp_path).folder("covidgr/256")
    with pytest.raises(InputError, match="covidx"):
        Releases(tmp_path, None, tmp_path).folder("covidx_cxr/512")
