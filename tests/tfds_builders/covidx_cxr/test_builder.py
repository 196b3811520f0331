"""The covidx_cxr builder, from a release on disk to what a reader gets; no TensorFlow."""

import collections
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from stored import counts, examples

from tfds_builders.common.splits import train_or_val
from tfds_builders.phantom import write_release

BINARY, THREE = ["negative", "positive"], ["normal", "pneumonia", "COVID-19"]
SEVERITY = ["level1", "level2"]
ORIGINAL = "512_original_split"


def written(folder, layout, n=48):
    return write_release("covidx_cxr", folder / layout, n, 1, 64, layout)


@pytest.fixture(scope="module")
def kaggle(phantom):
    return phantom("covidx_cxr", "kaggle")


@pytest.fixture
def copy(kaggle, tmp_path):
    return shutil.copytree(kaggle, tmp_path / "covidx-cxr2")


def listed(path, labels):
    """(patient, file, label, source) of each line, by a regular expression."""
    pattern = rf"(.+) (\S+) ({'|'.join(labels)})(?: (\S+))?"
    lines = path.read_text().splitlines()
    return [re.fullmatch(pattern, line).groups("") for line in lines]


def check(builder, lists, images, labels):
    """Every listed picture that is there is stored once, as its line says."""
    stored = examples(builder)
    rows = {
        Path(name).stem: (split, patient, label, source)
        for split, path in lists.items()
        for patient, name, label, source in listed(path, labels)
        if list(images.glob(f"*/{name}"))
    }
    assert sorted(stored) == sorted(rows)
    feature = builder.info.features["label"]
    assert feature.names == labels
    same = collections.defaultdict(set)
    for name, (_, example) in stored.items():
        split, patient, label, source = rows[name]
        assert feature.int2str(example["label"]) == label
        assert example["source"].decode() == source.replace("rnsa", "rsna")
        assert example["original_split"].decode() == split
        same[patient].add(example["patient_id"])
    assert {len(ids) for ids in same.values()} == {1}
    return stored


def split_lists(folder, version, splits=("train", "test")):
    return {split: folder / f"{split}{version}.txt" for split in splits}


def test_newest_binary_lists_are_the_default(release, builder):
    lists = split_lists(release / "labels", "_COVIDx9B")
    stored = check(builder, lists, release / "data", BINARY)
    assert len(stored) == 48
    metadata = builder.info.metadata
    assert metadata["release"] == "COVIDx9B"
    assert metadata["unit"] == "patients"
    found = counts(builder)
    train, test = (listed(lists[split], BINARY) for split in ("train", "test"))
    typos = sum(source == "rnsa" for *_, source in train + test)
    assert found["sources_misspelt"] == typos > 0
    assert found["rows_without_image"] == 1
    assert found["images_not_listed"] == 0


def test_pixels_are_the_files(release, builder):
    coloured = 0
    for name, (_, example) in examples(builder).items():
        folder = example["original_split"].decode()
        (path,) = (release / "data" / folder).glob(f"{name.replace('[', '[[]')}.*")
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        image = example["image"][..., 0]
        assert example["coloured"] == (pixels.ndim == 3)
        coloured += pixels.ndim == 3
        if pixels.ndim == 3:  # luma of ITU-R BT.601
            pixels = pixels @ np.array([0.114, 0.587, 0.299])
        np.testing.assert_allclose(image, pixels, atol=0.51 * example["coloured"])
    assert coloured == 1


def test_splits_of_known_patients_never_change(builder):
    stored = examples(builder)
    by_patient = {e["patient_id"].decode(): s for s, e in stored.values()}
    known = {"SITE2-000001": "train", "5": "train", "SITE2-000004": "test"}
    assert {patient: by_patient[patient] for patient in known} == known


def test_three_classes_come_from_the_a_lists(release, make):
    builder = make(release, "256_three_classes")
    lists = split_lists(release / "labels", "_COVIDx9A")
    stored = check(builder, lists, release / "data", THREE)
    assert builder.info.metadata["release"] == "COVIDx9A"
    unlisted = builder.info.metadata["counts"]["images_not_listed"]
    assert unlisted == 48 - len(stored) > 0


def test_severity_lists(release, make):
    builder = make(release, "512_severity")
    lists = split_lists(release / "labels", "_COVIDxSev")
    stored = check(builder, lists, release / "data", SEVERITY)
    assert {e["source"] for _, e in stored.values()} == {b"ricord"}


def test_original_split_is_that_of_the_lists(kaggle, make):
    builder = make(kaggle, ORIGINAL)
    stored = check(builder, split_lists(kaggle, ""), kaggle, BINARY)
    for split, example in stored.values():
        patient = example["patient_id"].decode()
        listed_in = example["original_split"].decode()
        assert split == ("test" if listed_in == "test" else train_or_val(patient))
    assert {split for split, _ in stored.values()} == {"train", "val", "test"}
    metadata = builder.info.metadata
    assert metadata["release"] == "without a version"
    # As released from version 8 on: the label can be told from the source.
    test = listed(kaggle / "test.txt", BINARY)
    assert {row[2:] for row in test} == {("positive", "ricord"), ("negative", "rsna")}
    found = counts(builder)
    assert found["test_images_told_by_source"] == 12
    for label in BINARY:
        assert found[f"test_sources:{label}"] == 1
        assert metadata["splits"]["test"][f"sources of {label}"] == 1


def test_a_list_of_val_is_used(tmp_path, make):
    release = written(tmp_path, "CXR-4", n=32)
    builder = make(release, ORIGINAL)
    lists = split_lists(release, "", ("train", "val", "test"))
    stored = check(builder, lists, release, BINARY)
    assert all(s == e["original_split"].decode() for s, e in stored.values())


def test_version_7_has_spaces_in_ids_and_a_patient_on_both_sides(tmp_path, make):
    release = written(tmp_path, "7")
    lists = split_lists(release / "labels", "_COVIDx7B")
    stored = check(make(release), lists, release / "data", BINARY)
    sirm = [e["patient_id"].decode() for n, (_, e) in stored.items() if "COVID(" in n]
    assert sirm and all(re.fullmatch(r"COVID \d+", patient) for patient in sirm)
    torn = {s for s, e in stored.values() if e["patient_id"] == b"ANON191"}
    assert len(torn) == 1
    builder = make(release, ORIGINAL)
    torn = {s for s, e in examples(builder).values() if e["patient_id"] == b"ANON191"}
    assert "test" in torn and len(torn) == 2
    found = counts(builder)
    assert found["patients_in_several_lists"] == 1
    both = "patients_across_released_split"
    assert found[both] == 1


@pytest.mark.parametrize(("layout", "version"), [("1", "_COVIDx"), ("3", "_COVIDx3")])
def test_old_lists(layout, version, tmp_path, make):
    release = written(tmp_path, layout, n=24)
    lists = split_lists(release / "labels", version)
    builder = make(release, "512_three_classes")
    check(builder, lists, release / "data", THREE)
    rows = {split: listed(path, THREE) for split, path in lists.items()}
    names = {split: {row[1] for row in some} for split, some in rows.items()}
    found = counts(builder)
    repeated = sum(len(rows[s]) - len(names[s]) for s in rows)
    assert found["rows_repeated"] == repeated
    assert (repeated > 0) == (layout == "1")
    unknown = {row[1] for some in rows.values() for row in some if not row[3]}
    assert found["images_without_source"] == len(unknown) > 0
    labels_of = collections.defaultdict(set)
    for *_, label, source in rows["test"]:
        labels_of[source].add(label)
    told = [r for r in rows["test"] if r[3] and len(labels_of[r[3]]) == 1]
    text = "test_images_told_by_source"
    assert found[text] == len(told) < len(rows["test"])


def write_rows(path, rows):
    path.write_bytes(("\ufeff" + "\r\n".join(map(" ".join, rows))).encode())


def test_lists_out_of_step_with_the_files(copy, make):
    train, test = (listed(copy / f"{s}.txt", BINARY) for s in ("train", "test"))
    first, second, third, fourth = (row[1] for row in train[:4])
    # One image with two labels, one in both lists, one in the other's folder.
    train.append(("someone", first, BINARY[train[0][2] == "negative"], "cohen"))
    test.append(train[1])
    shutil.move(copy / "train" / third, copy / "test" / third)
    (copy / "train" / fourth).unlink()
    # Two files of one name, up to the ending; one that no list names; no picture.
    picture = cv2.imencode(".png", np.arange(4096, dtype=np.uint8).reshape(64, 64))[1]
    other = cv2.imencode(".jpg", np.eye(64, dtype=np.uint8) * 200)[1]
    (copy / "test" / "000004.png").write_bytes(picture.tobytes())
    (copy / "test" / "000004.jpg").write_bytes(other.tobytes())
    (copy / "test" / "nobody.png").write_bytes(picture.tobytes())
    (copy / "test" / "notes.txt").write_text("no picture")
    test += [("1001", f"000004.{s}", "negative", "cohen") for s in ("jpg", "png")]
    write_rows(copy / "train.txt", train)
    write_rows(copy / "test.txt", test)
    (copy / "patients.csv").write_text("example_id,patient\n000004.jpg,mine\n")
    builder = make(copy, ORIGINAL)
    stored = examples(builder)
    assert Path(first).stem not in stored and Path(fourth).stem not in stored
    assert stored[Path(second).stem][0] == "test"
    assert stored[Path(third).stem][1]["original_split"] == b"train"
    assert stored["000004.jpg"][1]["patient_id"] == b"mine"
    assert stored["000004.png"][1]["patient_id"] == b"mine"  # 1001 in the list
    found = counts(builder)
    assert found["labels_contradicted"] == 1
    assert found["images_in_several_lists"] == 1
    assert found["images_in_other_folder"] == 2
    assert found["rows_without_image"] == 2  # one was never there
    assert found["images_not_listed"] == 1
    assert found["files_not_images"] == 1


def test_lists_without_endings_or_in_another_case(copy, make):
    """They mean the same images; what the names have beside dots is no ending."""
    first = make(copy, ORIGINAL)
    before = examples(first)
    train, test = (listed(copy / f"{s}.txt", BINARY) for s in ("train", "test"))
    dotted = train[0][1]
    (copy / "train" / dotted).rename(copy / "train" / f"1-s2.0-{dotted}")
    train[0] = (train[0][0], f"1-s2.0-{Path(dotted).stem}", *train[0][2:])
    train[1:] = [(p, Path(n).stem, *rest) for p, n, *rest in train[1:]]
    test = [(p, n.upper(), *rest) for p, n, *rest in test]
    write_rows(copy / "train.txt", train)
    write_rows(copy / "test.txt", test)
    builder = make(copy, ORIGINAL)
    after = examples(builder)
    named = {Path(dotted).stem: f"1-s2.0-{Path(dotted).stem}"}
    assert {named.get(name, name) for name in before} == after.keys()
    for name, (split, example) in before.items():
        found = after[named.get(name, name)]
        assert found[0] == split
        assert found[1]["label"] == example["label"]
        assert (found[1]["image"] == example["image"]).all()
    found, known = counts(builder), counts(first)
    for name in ("images_not_listed", "rows_without_image", "images_in_other_folder"):
        assert found[name] == known[name]
    assert found["names_unlike_files"] == len(before)


def test_copies_share_a_split_whatever_the_lists_say(copy, make):
    rows = {split: listed(copy / f"{split}.txt", BINARY) for split in ("train", "test")}
    (one,) = [row for row in rows["train"] if row[3] == "stonybrook"][:1]
    pixels = cv2.imread(str(copy / "train" / one[1]), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(pixels, (40, 48), interpolation=cv2.INTER_AREA)
    (copy / "test" / "copy.png").write_bytes(cv2.imencode(".png", small)[1].tobytes())
    write_rows(copy / "test.txt", [*rows["test"], ("X1", "copy.png", "positive", "x")])
    builder = make(copy)
    stored = examples(builder)
    (split, original), (same, copied) = stored[Path(one[1]).stem], stored["copy"]
    assert split == same and original["patient_id"] == copied["patient_id"]
    found = counts(builder)
    both = "patients_across_released_split"
    assert found[both] == 1
    assert found["patients_in_several_lists"] == 0
    # The phantom plants another copy; at 48 pixels that one may go unseen.
    assert found["near_duplicate_groups"] in (1, 2)


def test_other_labels_name_the_config(copy, fails):
    words = ("normal", "covidx_cxr/512)", "negative, positive")
    fails(copy, *words, config="256_three_classes")
    # The first edition of the severity lists used the words of the binary ones.
    for split in ("train", "test"):
        (copy / f"{split}.txt").rename(copy / f"{split}_COVIDxSev.txt")
    fails(copy, "negative", "COVID-Net")


def test_broken_lists(copy, fails):
    path = copy / "train.txt"
    whole = path.read_text()
    lines = whole.splitlines()
    lines[4] = (
        lines[4].replace(" positive", " perhaps").replace(" negative", " perhaps")
    )
    lines[6] = ""
    lines[7] = lines[7].rsplit(".", 1)[0]
    path.write_text("\n".join(lines))
    fails(copy, "train.txt", "2 lines", "line 5: ", "line 8: ")
    for content, words in [
        (b"\n\n", "empty"),
        (whole.encode("utf-16"), "UTF-8"),
    ]:
        path.write_bytes(content)
        fails(copy, "train.txt", words)
    path.unlink()
    fails(copy, "COVIDx release", "train*.txt")


def test_half_unpacked(copy, tmp_path, fails):
    shutil.move(copy / "test", tmp_path / "test")
    fails(copy, "folder test", ": train")
    (copy / "test").mkdir()
    fails(copy, "folder test")
    (copy / "test").rmdir()
    shutil.move(tmp_path / "test", copy / "test")
    pictures = sorted((copy / "train").iterdir())
    for path in pictures[: len(pictures) * 3 // 4]:
        path.unlink()
    missing = f"{len(pictures) * 3 // 4 + 1} of the 49 images in train.txt, test.txt"
    fails(copy, missing, pictures[0].name)
