import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cxr_jax.data import builders, decode, roles
from cxr_jax.runs import provenance
from tfds_builders.common.errors import InputError


@pytest.fixture(scope="module")
def builder(brixia_data):
    return builders.open_builder("brixia/256", str(brixia_data))


def test_table_and_images_match_tfds(builder):
    split = builders.load(builder, "test")
    theirs = builder.as_data_source("test")
    assert split.size == len(theirs) == builder.info.splits["test"].num_examples
    for i in (0, split.size - 1):
        assert split.table["example_id"][i] == theirs[i]["example_id"].decode()
        np.testing.assert_array_equal(split.table["scores"][i], theirs[i]["scores"])
        side = max(theirs[i]["image"].shape)
        ours = decode.image(split.read(i)["image"], side, "pad")
        assert (
            np.sort(ours[ours > 0]).tolist()
            == np.sort(theirs[i]["image"][theirs[i]["image"] > 0]).tolist()
        )


def test_unprepared_dataset_says_how_to_prepare_it(tmp_path):
    with pytest.raises(InputError) as error:
        builders.open_builder("covidgr", str(tmp_path))
    assert "tfds_builders.build covidgr" in str(error.value)
    assert "phantom covidgr" in str(error.value)


def test_missing_split_lists_existing_ones(builder):
    with pytest.raises(InputError, match=r"no split 'validation'.*[\s\S]*train \("):
        builders.load(builder, "validation")


def test_default_config_needs_no_name(tmp_path, covidgr_data):
    with pytest.raises(InputError, match="no prepared dataset 'covidgr'"):
        builders.open_builder("covidgr", str(covidgr_data))  # 512 is not prepared
    found = builders.open_builder("covidgr/256", str(covidgr_data))
    assert found.info.full_name.startswith("covidgr/256/")


def test_overlapping_roles_are_said_where_the_config_allows_them(
    tiny_config, tmp_path, capsys
):
    with tiny_config.unlocked():
        tiny_config.data.val = "test"
        tiny_config.data.leaks = True
    found = roles.open_splits(tiny_config.data, tmp_path)
    assert found.val.table["example_id"] == found.test.table["example_id"]
    said = capsys.readouterr().out
    assert f"WARNING: {found.test.size} images are in both val and test" in said
    assert roles.shared_patients(found)["val-test"] == len(
        set(found.test.table["patient_id"])
    )


def test_overlapping_roles_are_refused(builder, tiny_config, tmp_path):
    data = tiny_config.data
    with tiny_config.unlocked():
        data.val = "test"
    with pytest.raises(InputError, match=r"val and .test: \d+ images are in both"):
        roles.open_splits(data, tmp_path)
    with tiny_config.unlocked():
        data.fold = 0
    with pytest.raises(InputError, match="exactly train, val and test"):
        roles.open_splits(data, tmp_path)


def test_damaged_shards_are_named_before_anything_is_read(brixia_data, tmp_path):
    shutil.copytree(brixia_data / "brixia", tmp_path / "brixia")
    (folder,) = (tmp_path / "brixia/256").glob("*.*.*")
    (shard,) = folder.glob("*train*")
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(InputError, match=rf"{shard.name} has [\d,]+ bytes instead of"):
        builders.open_builder("brixia/256", str(tmp_path))
    metadata = json.loads((folder / "metadata.json").read_text())
    for key in ("shards", "pixels", "columns"):
        del metadata[key]  # as of an earlier version
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="it is damaged: remove that folder"):
        builders.load(builders.open_builder("brixia/256", str(tmp_path)), "train")


def test_a_shard_that_is_cut_while_it_is_read_is_named(brixia_data, tmp_path):
    """A run with residency=disk reads for days."""
    shutil.copytree(brixia_data / "brixia", tmp_path / "brixia")
    split = builders.load(builders.open_builder("brixia/256", str(tmp_path)), "train")
    (shard,) = (tmp_path / "brixia/256").glob("*/*train*")
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(InputError, match="it is damaged: remove that folder") as error:
        for position in range(split.size):
            split.read(position)
    assert error.value.where == str(shard.parent)


def test_a_dataset_without_digests_of_its_pixels_is_named(
    brixia_data, tiny_config, tmp_path, capsys
):
    shutil.copytree(brixia_data / "brixia", tmp_path / "brixia")
    (path,) = (tmp_path / "brixia/256").glob("*/metadata.json")
    metadata = json.loads(path.read_text())
    del metadata["pixels"]
    path.write_text(json.dumps(metadata))
    with tiny_config.unlocked():
        tiny_config.data.data_dir = str(tmp_path)
    found = roles.open_splits(tiny_config.data, tmp_path)
    assert found.description["pixels"] == found.test.pixels_sha256 == ""
    assert f"{path.parent} was built by an earlier version" in capsys.readouterr().out
    with tiny_config.unlocked():
        tiny_config.data.data_dir = str(brixia_data)
    now = roles.open_splits(tiny_config.data, tmp_path).description
    assert provenance.differences(found.description, now) == []


def test_unknown_dataset_lists_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"builder for each of: brixia, .*covidgr"):
        builders.open_builder("mnist", str(tmp_path))
    with pytest.raises(InputError, match=r"phantom covid_radiography DIR"):
        builders.open_builder("covid_radiography", str(tmp_path))


def test_synthetic_data_are_marked(builder):
    assert builders.describe(builder)["synthetic"] is True
    assert builders.load(builder, "test").synthetic


def test_newest_version_is_read(tmp_path):
    for version in ("1.9.0", "1.10.0", "notes"):
        (tmp_path / "x" / version).mkdir(parents=True)
        (tmp_path / "x" / version / "features.json").write_text("{}")
    assert builders._newest_version(tmp_path / "x").name == "1.10.0"
    assert tfds.core.Version("1.10.0") > tfds.core.Version("1.9.0")
