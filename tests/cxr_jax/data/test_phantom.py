import pathlib

import pytest
from ml_collections import ConfigDict

from cxr_jax.data import builders, phantom
from tfds_builders.common.errors import InputError


def data(**changes):
    config = {"dataset": "brixia/256", "data_dir": "", "phantom": 12}
    return ConfigDict(config | changes)


def test_a_killed_build_is_repeated_and_a_finished_one_kept(tmp_path):
    # What kill -9 leaves: the folder of the dataset with an incomplete version in it.
    half = tmp_path / "phantom_12/brixia/256/incomplete.ABC_1.0.0"
    half.mkdir(parents=True)
    (half / "brixia-train.array_record-00000-of-00001").write_bytes(b"half")
    data_dir = phantom.ensure(data(), tmp_path)
    builder = builders.open_builder("brixia/256", data_dir)
    assert builders.is_synthetic(builder)
    assert not half.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["phantom_12"]
    features = pathlib.Path(builder.data_path) / "features.json"
    written = features.stat().st_mtime_ns
    phantom.ensure(data(), tmp_path)
    assert features.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"dataset": "mnist"}, "no phantom of 'mnist'"),
        ({"data_dir": "somewhere"}, "but config.data.phantom=12"),
        ({"dataset": "brixia/257"}, "no config 257"),
    ],
)
def test_impossible_configs_are_refused(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        phantom.ensure(data(**changes), tmp_path)
