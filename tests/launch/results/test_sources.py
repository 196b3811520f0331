"""Films by their source: no film and no patient on both sides, classes as in the table."""

import pytest

from launch.results import sources
from tfds_builders.common.errors import InputError
from tfds_builders.common.text import csv_text

HEAD = ("patientid", "finding", "view", "filename", "url")
RADIOPAEDIA, EURORAD = "https://radiopaedia.org/cases/", "https://www.eurorad.org/case/"
GITHUB, JOURNAL = (
    "https://github.com/ml-workgroup/x",
    "https://www.cureus.com/articles/1",
)
FILMS = [
    ("1", "COVID-19", "PA", "a.png", RADIOPAEDIA + "1"),
    ("2", "Klebsiella", "AP Supine", "b.png", RADIOPAEDIA + "2"),
    ("3", "COVID-19, ARDS", "L", "c.png", RADIOPAEDIA + "3"),
    ("4", "todo", "AP", "d.png", RADIOPAEDIA + "covid-19-pneumonia-92"),
    ("5", "todo", "PA", "e.png", RADIOPAEDIA + "lipoid-pneumonia"),
    ("6", "COVID-19", "PA", "f.png", EURORAD + "16660"),
    ("7", "Legionella", "PA", "g.png", EURORAD + "10665"),
    ("6", "COVID-19", "PA", "h.png", RADIOPAEDIA + "6"),
    ("8", "No Finding", "AP Supine", "i.png", GITHUB),
    ("9", "COVID-19", "PA", "j.png", JOURNAL),
    ("9", "COVID-19", "PA", "missing.png", JOURNAL),
]


@pytest.fixture
def releases(tmp_path):
    cohen = tmp_path / "releases" / sources.COHEN
    (cohen / "images").mkdir(parents=True)
    (cohen / "metadata.csv").write_text(csv_text([HEAD, *FILMS]))
    for _, _, _, name, _ in FILMS[:-1]:
        (cohen / "images" / name).write_text(name)
    nih = tmp_path / "releases" / sources.NIH
    (nih / "images").mkdir(parents=True)
    rows = [("k.png", "11", "40"), ("l.png", "12", "17"), ("m.png", "13", "061Y")]
    head = ("Image Index", "Patient ID", "Patient Age")
    (nih / "Data_Entry_2017_v2020.csv").write_text(csv_text([head, *rows]))
    for name, _, _ in rows:
        (nih / "images" / name).write_text(name)
    return tmp_path / "releases"


def test_every_film_goes_where_its_source_belongs(releases, tmp_path):
    sources.write(releases, tmp_path / "trees")
    found = {
        folder: sorted(
            f"{path.parent.name}/{path.read_text()[0]}"
            for path in (tmp_path / "trees" / folder).glob("*/*")
        )
        for folder in sources.FOLDERS
    }
    mixed = ["COVID/a", "COVID/d", "other/b", "other/e", "other/i"]
    assert found["mixed"] == mixed
    assert found["pooled"] == sorted([*mixed, "COVID/j", "other/k", "other/m"])
    assert found["eurorad"] == ["COVID/f", "other/g"]


def test_a_half_written_folder_is_replaced(releases, tmp_path):
    (tmp_path / ".trees.partial" / "mixed").mkdir(parents=True)
    (tmp_path / ".trees.partial" / "mixed" / "old.png").touch()
    sources.write(releases, tmp_path / "trees")
    assert not list((tmp_path / "trees").rglob("old.png"))


def test_without_the_collection_it_says_so(tmp_path):
    with pytest.raises(InputError, match=sources.COHEN):
        sources.write(tmp_path, tmp_path / "trees")
    assert not (tmp_path / "trees").exists()
