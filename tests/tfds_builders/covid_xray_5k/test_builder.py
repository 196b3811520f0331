"""The covid_xray_5k builder, from a release to what a reader gets; no TensorFlow."""

import collections
import hashlib
import re
import shutil

import cv2
import numpy as np
import pytest
from stored import counts, examples

from tfds_builders.common.splits import train_or_val
from tfds_builders.phantom import write_release

IDENTICAL, LEFT_OUT = "test_files_identical_to_train", "identical_files_left_out"
SHARED, UNNAMED = "test_images_of_train_patients", "names_without_patient"
FOLDERS = ("train/covid", "train/non", "test/covid", "test/non")


def files(release):
    """Pictures by example_id."""
    return {
        path.relative_to(release).with_suffix("").as_posix(): path
        for folder in FOLDERS
        for path in (release / folder).iterdir()
    }


def same_files(release):
    """example_ids of files of the same content, and of one class."""
    same = collections.defaultdict(list)
    for name, path in sorted(files(release).items()):
        same[name.split("/")[1], hashlib.md5(path.read_bytes()).digest()].append(name)
    return list(same.values())


def patient(name):
    found = re.search(r"non/(?:.*-)?(patient\d{5})-", name)
    return found and found[1]


def check(builder, release):
    """Every stored example against its file, its folders and its name."""
    stored, paths = examples(builder), files(release)
    label = builder.info.features["label"]
    assert label.names == ["covid", "non"]
    for name, (_, example) in stored.items():
        part, folder, file_name = name.split("/")
        assert label.int2str(example["label"]) == folder
        source = {"covid": b"Cohen", "non": b"CheXpert"}
        assert example["source"] == source[folder]
        finding = re.match(r"([A-Z][A-Za-z ]+)-patient", file_name)
        assert (finding is not None) == (part == "train" and folder == "non")
        assert example["finding"].decode() == (finding[1] if finding else "")
        if patient(name):
            assert example["patient_id"].decode() == patient(name)
        pixels = cv2.imread(str(paths[name]), cv2.IMREAD_UNCHANGED)
        if pixels.ndim == 3:
            spread = np.ptp(pixels.astype(int), axis=2).mean()
            assert example["coloured"] == (spread > 3)
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        else:
            assert example["coloured"] == 0
        np.testing.assert_array_equal(example["image"][..., 0], pixels)
    return stored


def test_every_picture_is_stored_once(release, builder):
    stored = check(builder, release)
    sets = same_files(release)
    assert stored.keys() == {names[0] for names in sets}
    parts = {names[0]: sorted({n.split("/")[0] for n in names}) for names in sets}
    splits = collections.defaultdict(set)
    for name, (split, example) in stored.items():
        assert example["original_split"].decode() == " and ".join(parts[name])
        splits[patient(name)].add(split)
    del splits[None]
    assert {len(of_one) for of_one in splits.values()} == {1}
    metadata = builder.info.metadata
    assert metadata["unit"] == "patients or near-duplicate groups"
    found = counts(builder)
    assert found[LEFT_OUT] == len(files(release)) - len(sets) > 2
    across = sum(part == ["test", "train"] for part in parts.values())
    assert found[IDENTICAL] == across == found[LEFT_OUT]
    assert found[UNNAMED] == 0
    assert SHARED not in found
    coloured = sum(int(e["coloured"]) for _, e in stored.values())
    assert found["images_coloured"] == coloured > 2


def test_original_split(release, builder, prepared):
    original = prepared("covid_xray_5k", "512_original_split")
    stored = check(original, release)
    assert stored.keys() == files(release).keys()
    ids = {name: e["patient_id"].decode() for name, (_, e) in stored.items()}
    for name, (split, example) in stored.items():
        part = name.split("/")[0]
        assert split == ("test" if part == "test" else train_or_val(ids[name]))
        assert example["original_split"].decode() == part
    for name, (_, example) in examples(builder).items():
        assert example["patient_id"].decode() == ids[name]
    for names in same_files(release):
        assert len({ids[name] for name in names}) == 1
    assert "leaks" in original.builder_config.description
    found = counts(original)
    assert LEFT_OUT not in found
    identical = builder.info.metadata["counts"][IDENTICAL]
    assert found[IDENTICAL] == identical
    trained = {ids[name] for name in ids if name.startswith("train")}
    shared = sum(ids[name] in trained for name in ids if name.startswith("test"))
    # Altered copies besides.
    assert found[SHARED] == shared > identical


def test_splits_of_known_patients_never_change(tmp_path, make):
    release = write_release("covid_xray_5k", tmp_path / "r", n=4, seed=1, size=64)
    names = {
        "train/covid/41591_2020_819_Fig1_HTML.webp-day5": "41591_2020_819",
        "test/covid/kjr-21-e24-g001-l-a": "kjr-21-e24",
        "train/non/Pleural Effusion-patient00028-study2-view1_frontal": "patient00028",
        "test/non/patient00003-study1-view1_frontal": "patient00003",
    }
    for name in names:
        (path,) = (release / name).parent.iterdir()
        path.rename((release / name).with_name(f"{(release / name).name}.jpg"))
    builder = make(release, "256")
    found = {
        name: (example["patient_id"].decode(), split, int(example["fold"]))
        for name, (split, example) in examples(builder).items()
    }
    splits = [("train", 1), ("test", 0), ("train", 2), ("train", 1)]
    assert found == {
        name: (names[name], *split) for name, split in zip(names, splits, strict=True)
    }


def test_planted_copies(copy, builder, make):
    """Identical: four in two classes, under two findings; and altered, elsewhere."""
    paths = files(copy)
    before = examples(builder)
    covid = next(names[0] for names in same_files(copy) if len(names) > 1)
    for odd in ("odd", "odd-again"):
        shutil.copy(paths[covid], copy / "test" / "non" / f"{odd}{paths[covid].suffix}")
    non = next(n for n in sorted(before) if n.startswith("train/non"))
    file_name = paths[non].name
    other = file_name.replace(file_name.split("-")[0], "Fracture")
    shutil.copy(paths[non], paths[non].with_name(other))
    altered = next(n for n in sorted(before) if n.startswith("test/non"))
    pixels = cv2.imread(str(paths[altered]), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(pixels, None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA)
    cv2.imwrite(
        str(copy / "train/non/Edema-patient99999-study1-view1_frontal.jpg"), small
    )
    joined = make(copy)
    stored = examples(joined)
    planted = {
        "test/non/odd": covid,
        "train/non/Edema-patient99999-study1-view1_frontal": altered,
    }
    for name, original in planted.items():
        assert stored[name][0] == stored[original][0]
        assert stored[name][1]["patient_id"] == stored[original][1]["patient_id"]
    assert stored.keys() == before.keys() | planted.keys()
    assert (
        stored[non][1]["finding"].decode()
        == f"{non.split('/')[2].split('-')[0]} and Fracture"
    )
    counts, old = joined.info.metadata["counts"], builder.info.metadata["counts"]
    assert counts[IDENTICAL] == old[IDENTICAL] + 2
    assert counts[LEFT_OUT] == old[LEFT_OUT] + 2
    assert counts[UNNAMED] == 2
    assert counts["near_duplicate_groups_of_several_classes"] == 1


def test_the_user_may_name_copies_that_are_left_out(copy, make):
    names = max(same_files(copy), key=len)
    rows = "".join(f"{name},a-patient\n" for name in names[1:])
    (copy / "patients.csv").write_text("example_id,patient\n" + rows)
    stored = examples(make(copy, "256"))
    assert not stored.keys() & set(names[1:])
    assert stored[names[0]][1]["patient_id"] == b"a-patient"


def test_older_copies_have_other_counts(copy, make):
    films = sorted((copy / "test" / "non").iterdir())
    for path in films[5:]:
        path.unlink()
    (copy / "test" / "non" / "list.txt").write_text("no picture")
    builder = make(copy, "256_original_split")
    assert builder.info.metadata["splits"]["test"]["non"] == 5
    assert builder.info.metadata["counts"]["files_not_images"] == 1


@pytest.mark.parametrize("folder", FOLDERS)
def test_half_unpacked(copy, folder, fails):
    shutil.rmtree(copy / folder)
    fails(copy, f"folder {folder}")
    (copy / folder).mkdir()
    fails(copy, f"{copy / folder}: ")


def test_films_moved_into_val(copy, fails):
    shutil.copytree(copy / "train", copy / "val")
    fails(copy, "val/covid, val/non")


def test_one_name_twice(copy, fails):
    path = min((copy / "test" / "non").iterdir())
    shutil.copy(path, path.with_suffix(".png"))
    fails(copy, f"{path.stem}.png", path.name)


def test_unusable_pictures(copy, fails, make):
    """Identical, but nobody knows what they show: each is told."""
    paths = sorted((copy / "train" / "non").iterdir())[:3]
    for path in paths:
        path.write_bytes(b"")
    fails(copy, "3 files", *(path.name for path in paths))
    builder = make(copy, "256", max_rejected=3)
    gone = {path.relative_to(copy).with_suffix("").as_posix() for path in paths}
    assert not gone & examples(builder).keys()
    rejected = (builder.data_path / "rejected.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rejected[1:]] == [
        path.relative_to(copy).as_posix() for path in paths
    ]


def test_phantom_is_in_the_format_of_the_release(release):
    """As far as it is known: see the README of the builder."""
    assert release.name == "data"
    assert {p.name for p in release.iterdir()} == {"train", "test", "SYNTHETIC.txt"}
    names = {
        folder: [p.name for p in (release / folder).iterdir()] for folder in FOLDERS
    }
    flat = re.compile(r"patient\d{5}-study\d-view1_frontal\.jpg")
    assert all(flat.fullmatch(name) for name in names["test/non"])
    behind = [name.partition("-") for name in names["train/non"]]
    assert all(re.fullmatch("[A-Z][A-Za-z ]+", name[0]) for name in behind)
    assert all(flat.fullmatch(name[2]) for name in behind)
    patients = [{patient(f"{f}/{n}") for n in names[f]} for f in FOLDERS[1::2]]
    assert not patients[0] & patients[1]
    assert len(patients[0]) < len(names["train/non"])
    # Copies of train in test, under their own names and others.
    own = set(names["train/covid"]) & set(names["test/covid"])
    copies = [ids for ids in same_files(release) if len(ids) > 1]
    assert 0 < len(own) < len(copies)
