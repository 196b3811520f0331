import numpy as np
import pytest

from cxr_jax.data import builders
from cxr_jax.data.split import by_fold, fingerprint, patients_in_both, take
from tfds_builders.common import splits
from tfds_builders.common.errors import InputError


@pytest.fixture(scope="module")
def builder(brixia_data):
    return builders.open_builder("brixia/256", str(brixia_data))


def test_folds_partition_the_patients(builder):
    whole, seen = builders.load(builder, "all"), []
    for fold in range(splits.FOLDS):
        parts = by_fold(whole, fold)
        patients = [set(part.table["patient_id"]) for part in parts.values()]
        assert sum(map(len, patients)) == len(set.union(*patients))
        assert set(parts["test"].table["fold"]) == {fold}
        assert sum(part.size for part in parts.values()) == whole.size
        seen += parts["test"].table["example_id"]
    assert sorted(seen) == sorted(whole.table["example_id"])


def test_fold_out_of_range_is_refused(builder):
    with pytest.raises(InputError, match="fold: is 5"):
        by_fold(builders.load(builder, "all"), 5)


def test_shared_patients_are_counted(builder):
    train, test = (builders.load(builder, name) for name in ("train", "test"))
    assert patients_in_both(train, test) == 0
    patients = len(set(train.table["patient_id"]))
    assert patients_in_both(train, train) == patients


def test_the_fingerprint_depends_on_labels_but_not_on_order(builder):
    split = builders.load(builder, "test")
    other = take(split, np.arange(split.size)[::-1], "test")
    assert fingerprint(other) == fingerprint(split)
    changed = split.table | {"scores": 3 - split.table["scores"]}
    assert fingerprint(split._replace(table=changed)) != fingerprint(split)
    changed = split._replace(pixels_sha256="0")
    assert fingerprint(changed) != fingerprint(split)
    assert split.pixels_sha256 != builders.load(builder, "train").pixels_sha256 != ""


def test_split_by_image_ignores_patients(builder):
    whole = builders.load(builder, "all")
    parts = by_fold(whole, 2, by="example_id")
    ids = [name for part in parts.values() for name in part.table["example_id"]]
    assert sorted(ids) == sorted(whole.table["example_id"])
    assert {splits.fold_of(name) for name in parts["test"].table["example_id"]} == {2}
    # A split by patient of the same films puts nobody on both sides; this one does.
    assert patients_in_both(parts["train"], parts["test"]) > 0
