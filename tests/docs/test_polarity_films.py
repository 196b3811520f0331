"""A release whose films are read with the wrong polarity, and who notices."""

import csv

import numpy as np
import pydicom
import pytest

from docs.make import polarity_films
from tfds_builders.common.dicom.radiograph import read_dicom
from tfds_builders.phantom import write_release

FILMS = 12


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films") / "release"
    write_release("brixia", folder, FILMS)
    return folder


def tags(folder):
    films = sorted((folder / "dicom_clean").glob("*.dcm"))
    return {
        path.name: pydicom.dcmread(path).PhotometricInterpretation for path in films
    }


def inverted(release, out):
    """Names of the films that are each other's negative in both folders."""
    found = set()
    for path in (release / "dicom_clean").glob("*.dcm"):
        one = read_dicom(path).pixels.astype(float)
        other = read_dicom(out / "dicom_clean" / path.name).pixels.astype(float)
        r = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(r) > 0.99
        if r < 0:
            found.add(path.name)
    return found


def test_films_of_the_other_tag_become_negatives(release, tmp_path):
    before, out = tags(release), tmp_path / "ignored"
    wanted = {name for name, tag in before.items() if tag == "MONOCHROME1"}
    assert 0 < len(wanted) < len(before), "the phantom has both"
    assert polarity_films.main(release, out, None) == len(wanted)
    assert set(tags(out).values()) == {"MONOCHROME2"}
    assert inverted(release, out) == wanted
    assert tags(release) == before


def test_or_those_of_a_high_score(release, tmp_path):
    with (release / "metadata_global_v2.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    scores = {row["Filename"]: int(row["BrixiaScoreGlobal"]) for row in rows}
    wanted = {n for n, s in scores.items() if s > np.median(list(scores.values()))}
    assert polarity_films.severe(release) == wanted
    out = tmp_path / "severe"
    assert polarity_films.main(release, out, wanted) == len(wanted)
    assert inverted(release, out) == wanted
