"""The table of a split, without and with a pass over its records."""

import io
import json
import shutil
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_jax.data import builders, roles
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


def test_a_build_over_a_changed_file_is_refused(copy):
    (copy / columns.FILE).write_bytes(b"")
    with pytest.raises(InputError, match="columns.npz was changed since") as error:
        build("brixia/256", None, copy.parents[2], quiet=True)
    assert error.value.where == str(copy)


def test_a_missing_file_is_named(copy):
    (copy / columns.FILE).unlink()
    with pytest.raises(InputError, match="cannot be read: No such file") as error:
        builders.load(opened(copy), "train")
    assert error.value.where == str(copy / columns.FILE)


@given(
    st.lists(st.text(), min_size=1, max_size=400)
    | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1).map(np.array)
    | st.lists(st.integers(-200, 40_000), min_size=1).map(np.array)
    | st.lists(st.floats(), min_size=1).map(partial(np.array, dtype=np.float64))
)
def test_a_column_is_packed_without_loss(column):
    packed = {f"k/{name}": array for name, array in columns._packed(column).items()}
    file = io.BytesIO()
    np.savez(file, **packed)
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=False) as archive:
        found = columns._unpacked(archive, "k")
    if isinstance(column, list):
        assert found == column
    else:
        assert found.dtype == column.dtype
        np.testing.assert_array_equal(found, column)


def test_many_texts_are_packed_without_loss():
    texts = [f"film {k}\0" for k in range(1000)]
    packed = {f"k/{name}": array for name, array in columns._packed(texts).items()}
    assert columns._unpacked(packed, "k") == texts


def test_the_digest_of_a_whole_table_is_stored(folder):
    builder = opened(folder)
    for split in ("train", "val", "test"):
        table = builders.load(builder, split).table
        assert columns.table_digest(builder, split) == columns.digest(table)
    assert columns.table_digest(builder, "train[:50%]") == ""


def test_a_run_has_the_same_fingerprints_without_the_file(folder, copy, tiny_config):
    without(copy)
    found = []
    for data in (folder, copy):
        for fold in (-1, 1):
            with tiny_config.unlocked():
                tiny_config.data.data_dir = str(data.parents[2])
                tiny_config.data.fold = fold
            splits = roles.open_splits(tiny_config.data, data)
            found.append(splits.description["roles"])
    assert found[:2] == found[2:] and found[0] != found[1]
