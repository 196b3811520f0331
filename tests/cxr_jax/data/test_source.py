import shutil

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from cxr_jax.data import roles, source
from tfds_builders.common import splits
from tfds_builders.common.errors import InputError


@pytest.fixture(scope="module")
def builder(brixia_data):
    return source.open_builder("brixia/256", str(brixia_data))


def test_table_and_pictures_are_those_of_tfds(builder):
    split = source.load(builder, "test")
    theirs = builder.as_data_source("test")
    assert split.size == len(theirs) == builder.info.splits["test"].num_examples
    for i in (0, split.size - 1):
        assert split.table["example_id"][i] == theirs[i]["example_id"].decode()
        np.testing.assert_array_equal(split.table["scores"][i], theirs[i]["scores"])
        side = max(theirs[i]["image"].shape)
        ours = source.decode(split.read(i)["image"], side, "pad")
        assert (
            np.sort(ours[ours > 0]).tolist()
            == np.sort(theirs[i]["image"][theirs[i]["image"] > 0]).tolist()
        )


def test_unprepared_dataset_says_how_to_prepare_it(tmp_path):
    with pytest.raises(InputError) as error:
        source.open_builder("covidgr", str(tmp_path))
    assert "tfds_builders.build covidgr" in str(error.value)
    assert "phantom covidgr" in str(error.value)


def test_missing_split_lists_those_that_exist(builder):
    with pytest.raises(InputError, match=r"no split 'validation'.*[\s\S]*train \("):
        source.load(builder, "validation")


def test_default_config_needs_no_name(tmp_path, covidgr_data):
    with pytest.raises(InputError, match="no prepared dataset 'covidgr'"):
        source.open_builder("covidgr", str(covidgr_data))  # 512 is not prepared
    found = source.open_builder("covidgr/256", str(covidgr_data))
    assert found.info.full_name.startswith("covidgr/256/")


def test_folds_part_the_patients(builder):
    whole, seen = source.load(builder, "all"), []
    for fold in range(splits.FOLDS):
        parts = source.by_fold(whole, fold)
        patients = [set(part.table["patient_id"]) for part in parts.values()]
        assert sum(map(len, patients)) == len(set.union(*patients))
        assert set(parts["test"].table["fold"]) == {fold}
        assert sum(part.size for part in parts.values()) == whole.size
        seen += parts["test"].table["example_id"]
    assert sorted(seen) == sorted(whole.table["example_id"])


def test_fold_out_of_range_is_refused(builder):
    with pytest.raises(InputError, match="folds are 0..4"):
        source.by_fold(source.load(builder, "all"), 5)


def test_roles_that_overlap_are_refused(builder, tiny_config, tmp_path):
    data = tiny_config.data
    with tiny_config.unlocked():
        data.val = "test"
    with pytest.raises(InputError, match=r"val and .test: \d+ images are in both"):
        roles.open_splits(data, tmp_path)
    with tiny_config.unlocked():
        data.fold = 0
    with pytest.raises(InputError, match="exactly train, val and test"):
        roles.open_splits(data, tmp_path)


def test_damaged_shards_are_named(brixia_data, tmp_path):
    copy = tmp_path / "brixia"
    shutil.copytree(brixia_data / "brixia", copy)
    for shard in copy.glob("256/*/*train*"):
        shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(InputError, match="it is damaged: remove that folder"):
        source.load(source.open_builder("brixia/256", str(tmp_path)), "train")


def test_unknown_dataset_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"builder for each of: brixia, .*covidgr"):
        source.open_builder("mnist", str(tmp_path))
    with pytest.raises(InputError, match=r"phantom covid_radiography DIR"):
        source.open_builder("covid_radiography", str(tmp_path))


def test_shared_patients_are_counted(builder):
    train, test = (source.load(builder, name) for name in ("train", "test"))
    assert source.shared_patients(train, test) == 0
    patients = len(set(train.table["patient_id"]))
    assert source.shared_patients(train, train) == patients


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def test_stretch_fills_the_square_by_area():
    image = np.arange(8 * 4, dtype=np.uint16).reshape(8, 4) * 1000
    found = source.decode(png(image), 4, "stretch")
    expected = image.reshape(4, 2, 4).mean(axis=1)
    np.testing.assert_allclose(found[..., 0], expected, atol=0.5)
    assert found.dtype == np.uint16


def test_pad_keeps_every_pixel_and_centres_it():
    image = np.full((8, 4), 7, np.uint8)
    found = source.decode(png(image), 8, "pad")[..., 0]
    assert found[:, 2:6].tolist() == image.tolist()
    assert found[:, :2].sum() == found[:, 6:].sum() == 0


def test_the_fingerprint_knows_labels_and_not_the_order(builder):
    split = source.load(builder, "test")
    other = source.take(split, np.arange(split.size)[::-1], "test")
    assert source.fingerprint(other) == source.fingerprint(split)
    changed = split.table | {"scores": 3 - split.table["scores"]}
    assert source.fingerprint(split._replace(table=changed)) != source.fingerprint(
        split
    )


def test_synthetic_data_are_known_as_such(builder):
    assert source.describe(builder)["synthetic"] is True
    assert source.load(builder, "test").synthetic


def test_newest_version_is_read(tmp_path):
    for version in ("1.9.0", "1.10.0", "notes"):
        (tmp_path / "x" / version).mkdir(parents=True)
        (tmp_path / "x" / version / "features.json").write_text("{}")
    assert source._newest_version(tmp_path / "x").name == "1.10.0"
    assert tfds.core.Version("1.10.0") > tfds.core.Version("1.9.0")
