"""What a test shares with the training, from the files of a run."""

import json

import pytest

from cxr_jax.runs import own_digest
from launch.results import leaks
from tfds_builders.common.errors import InputError


def run(folder, train, val, test, shared):
    parts = {"train": train, "val": val, "test": test}
    splits = {role: {"examples": list(names)} for role, names in parts.items()}
    (folder / "splits.json").write_text(json.dumps(splits))
    content = own_digest.seal({"shared_patients": shared})
    (folder / "results.json").write_text(json.dumps(content))
    return folder


NONE = {"train-val": 0, "train-test": 0, "val-test": 0}


def test_films_and_patients_of_both_sides_are_counted(tmp_path):
    shared = NONE | {"train-test": 2, "val-test": 3}
    found = leaks.of(run(tmp_path, "abcd", "ef", "defgh", shared))
    assert found.films == {"train-val": 0, "train-test": 1, "val-test": 2}
    assert found.patients == shared and found.tested == 5
    text = " ".join(leaks.words(found, "patients"))
    assert "1 of 5 test films" in text and "chosen on 2" in text


def test_patients_alone_and_nothing_at_all(tmp_path):
    found = leaks.of(run(tmp_path, "ab", "c", "de", NONE | {"train-test": 7}))
    assert len(leaks.words(found, "groups")) == 1
    assert "7 groups" in leaks.words(found, "groups")[0]
    assert leaks.words(leaks.of(run(tmp_path, "a", "b", "c", NONE)), "patients") == []


def test_damaged_files_say_which(tmp_path):
    run(tmp_path, "a", "b", "c", NONE)
    (tmp_path / "splits.json").write_text("[]")
    with pytest.raises(InputError, match="splits"):
        leaks.of(tmp_path)
