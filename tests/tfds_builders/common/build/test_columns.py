"""The table of a split, without and with a pass over its records."""

import json
import shutil

import numpy as np
import pytest

from cxr_jax.data import builders
from tfds_builders.build import build
from tfds_builders.common.build import columns
from tfds_builders.common.build.ingest import shards
from tfds_builders.common.errors import InputError
from tfds_builders.phantom import write_release


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A prepared dataset of several files for each split."""
    place = tmp_path_factory.mktemp("columns")
    patch = pytest.MonkeyPatch()
    patch.setattr(shards, "__defaults__", (7,))
    write_release("brixia", place / "release", 60, size=32)
    build("brixia/256", place / "release", place / "data", quiet=True)
    patch.undo()
    (found,) = (place / "data/brixia/256").glob("*.*.*")
    assert len(list(found.glob("*train*"))) > 2
    return found


def opened(folder):
    return builders.open_builder("brixia/256", str(folder.parents[2]))


@pytest.fixture
def copy(folder, tmp_path):
    target = tmp_path / "data" / folder.relative_to(folder.parents[2])
    shutil.copytree(folder, target)
    return target


def without(folder):
    """The same dataset, as an earlier version built it."""
    (folder / columns.FILE).unlink()
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["columns"]
    (folder / "metadata.json").write_text(json.dumps(metadata))


@pytest.mark.parametrize(
    "split",
    [
        "train",
        "val",
        "all",
        "test+train",
        "train[5:20]",
        "train[:33%]+val",
        "train[-9:]",
    ],
)
def test_the_table_is_that_of_the_records(folder, copy, split):
    without(copy)
    found = builders.load(opened(folder), split).table
    expected = builders.load(opened(copy), split).table
    assert list(found) == list(expected)
    for name, column in expected.items():
        assert type(found[name]) is type(column), name
        if isinstance(column, list):
            assert found[name] == column
        else:
            assert found[name].dtype == column.dtype
            np.testing.assert_array_equal(found[name], column)


def test_no_record_is_read(folder, monkeypatch):
    def refused(*arguments):
        raise AssertionError("a record was read")

    monkeypatch.setattr("tfds_builders.common.records.table", refused)
    assert builders.load(opened(folder), "train").size > 7


def test_a_changed_file_is_refused(copy):
    path = copy / columns.FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="was changed since the dataset was built"):
        builders.load(opened(copy), "train")


def test_a_missing_file_is_named(copy):
    (copy / columns.FILE).unlink()
    with pytest.raises(InputError, match="cannot be read: No such file") as error:
        builders.load(opened(copy), "train")
    assert error.value.where == str(copy / columns.FILE)
