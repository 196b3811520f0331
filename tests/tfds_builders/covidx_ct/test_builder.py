"""The covidx_ct builder, from a release on disk to what a reader gets; no TensorFlow."""

import csv
import math
import shutil

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import counts, examples

from tfds_builders.covidx_ct.covidx_ct_dataset_builder import _scaled
from tfds_builders.phantom import write_release

CLASSES = ["Normal", "Pneumonia", "COVID-19"]
SPLITS = ("train", "val", "test")


def lists(release):
    """{stem: (split, class, box)}, read by hand."""
    rows = {}
    for split in SPLITS:
        for line in (release / f"{split}_COVIDx_CT-2A.txt").read_text().splitlines():
            name, label, *box = line.split(" ")
            rows[name[:-4]] = split, CLASSES[int(label)], [int(edge) for edge in box]
    return rows


def table(release):
    with open(release / "metadata.csv", newline="") as file:
        return {row["patient id"]: row for row in csv.DictReader(file)}


def patient(stem):
    """The patient of a phantom's slice, by the manner of each source."""
    if "_patient" in stem:
        return stem.split("_")[1]
    if stem.startswith("radiopaedia_"):
        return "_".join(stem.split("_")[:3])
    if stem.startswith(("NCP_", "CP_", "Normal_")):
        return "_".join(stem.split("_")[:2])
    words = {"HUST": 2, "LIDC": 3, "volume": 4}[stem.split("-")[0]]
    return "-".join(stem.split("-")[:words])


def check(builder, release):
    """Every slice of the lists once, as its line and its patient's row say."""
    stored, rows, people = examples(builder), lists(release), table(release)
    assert sorted(stored) == sorted(rows)
    label = builder.info.features["label"]
    assert label.names == CLASSES
    for name, (_, example) in stored.items():
        split, of_class, _ = rows[name]
        about = people[patient(name)]
        assert label.int2str(example["label"]) == of_class == about["finding"]
        assert example["patient_id"].decode() == patient(name)
        assert example["original_split"].decode() == split
        for column in ("source", "country", "sex", "finding", "view", "modality"):
            assert example[column].decode() == about[column]
        assert example["verified_finding"].decode() == about["verified finding"]
        assert example["slice_selection"].decode() == about["slice selection"]
        assert str(example["age"]) == str(float(about["age"] or "nan"))
    return stored


def test_slices_and_their_patients(release, builder):
    stored = check(builder, release)
    metadata = builder.info.metadata
    assert metadata["release"] == "COVIDx_CT-2A"
    assert metadata["unit"] == "patients"
    assert not any(metadata["counts"].values())
    # The phantom has all manners of names, and scans that are not square.
    assert len({e["source"] for _, e in stored.values()}) == 6
    assert len({e["image"].shape for _, e in stored.values()}) == 2


def test_pixels_and_boxes_are_the_files(release, builder):
    rows, three = lists(release), 0
    for name, (_, example) in examples(builder).items():
        path = str(release / "2A_images" / f"{name}.png")
        three += cv2.imread(path, cv2.IMREAD_UNCHANGED).ndim == 3
        pixels = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
        np.testing.assert_array_equal(example["image"][..., 0], pixels)
        assert example["box"].tolist() == rows[name][2]
        assert example["coloured"] == 0
    assert three > 0


def test_original_split(release, make):
    stored = check(make(release, "256_original_split"), release)
    assert all(s == e["original_split"].decode() for s, e in stored.values())


def test_cropped_to_the_box(release, make):
    stored = check(make(release, "512_cropped"), release)
    for name, (xmin, ymin, xmax, ymax) in (
        (n, r[2]) for n, r in lists(release).items()
    ):
        path = str(release / "2A_images" / f"{name}.png")
        pixels = cv2.imread(path, cv2.IMREAD_GRAYSCALE)[ymin:ymax, xmin:xmax]
        example = stored[name][1]
        np.testing.assert_array_equal(example["image"][..., 0], pixels)
        assert example["box"].tolist() == [0, 0, xmax - xmin, ymax - ymin]


def test_boxes_shrink_with_the_slices(tmp_path, make):
    release = write_release("covidx_ct", tmp_path / "r", n=9, seed=2, size=400)
    stored = examples(make(release, "256"))
    for name, (_, _, box) in lists(release).items():
        image, new = stored[name][1]["image"], stored[name][1]["box"]
        assert image.shape == (256, 256, 1)
        low, high = np.floor, np.ceil
        for edge, old, to_whole in zip(new, box, (low, low, high, high), strict=True):
            assert edge == to_whole(old * 256 / 400)


@given(
    old=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    new=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    data=st.data(),
)
@settings(max_examples=100)
def test_scaled_boxes_cover_and_hold_pixels(old, new, data):
    (height, width), (new_height, new_width) = old, new
    xmin = data.draw(st.integers(0, width - 1))
    ymin = data.draw(st.integers(0, height - 1))
    xmax = data.draw(st.integers(xmin + 1, width))
    ymax = data.draw(st.integers(ymin + 1, height))
    x0, y0, x1, y1 = (int(e) for e in _scaled((xmin, ymin, xmax, ymax), old, new))
    assert 0 <= x0 < x1 <= new_width and 0 <= y0 < y1 <= new_height
    assert x0 * width <= xmin * new_width and x1 * width >= xmax * new_width
    assert (x0 + 1) * width > xmin * new_width and (x1 - 1) * width < xmax * new_width
    assert y0 * height <= ymin * new_height and y1 * height >= ymax * new_height


def edit(path, change):
    path.write_text(change(path.read_text()))


def test_what_does_not_fit_is_counted(copy, make):
    paths = {split: copy / f"{split}_COVIDx_CT-2A.txt" for split in SPLITS}
    rows = {split: paths[split].read_text().splitlines() for split in SPLITS}
    images = copy / "2A_images"
    (images / rows["train"][0].split()[0]).unlink()
    shutil.copy(images / rows["train"][1].split()[0], images / "unlisted.png")
    (images / "notes.txt").write_text("no picture")
    # A patient of val has a slice in train; a slice of train is in test as well.
    strayed = rows["val"][0]
    paths["val"].write_text("\n".join(rows["val"][1:]))
    paths["train"].write_text("\n".join([*rows["train"], strayed, rows["train"][2]]))
    paths["test"].write_text("\r\n".join([*rows["test"], rows["train"][3]]) + "\r\n")
    # Metadata: one patient is missing, one is there twice, one is of another class.
    people = table(copy)
    unknown, other, old = "patient4", patient(rows["test"][0][:-4]), "HUST-Patient9"
    people.pop(unknown)
    people[other]["finding"] = "Unknown"
    people[old]["age"] = "old"
    with open(copy / "metadata.txt", "w", newline="") as file:
        writer = csv.DictWriter(file, list(people[other]))
        writer.writeheader()
        writer.writerows([*people.values(), people[other]])
    (copy / "metadata.csv").unlink()
    (copy / "2A_images").rename(copy / "images")
    (copy / "val_COVIDx_CT-2A.txt").rename(copy / "Val_COVIDx_CT-2A.txt")
    builder = make(copy, "512_original_split")
    stored = examples(builder)
    count = counts(builder)
    assert count["rows_without_image"] == 1
    assert count["images_not_listed"] == 1
    assert count["files_not_images"] == 1
    assert count["rows_repeated"] == 1
    assert count["images_in_several_lists"] == 1
    assert count["patients_in_several_lists"] == 2
    text = "patient_rows_repeated"
    assert count[text] == 1
    text = "patients_from_file_names"
    assert count[text] == sum(patient(n) == unknown for n in lists_of(rows)) == 4
    text = "class_not_finding"
    assert count[text] == sum(patient(n) == other for n in lists_of(rows)) == 4
    assert count["numbers_unreadable"] == 1
    assert len(stored) == 71
    assert stored[strayed.split(".png")[0]][0] == "train"
    assert stored[rows["train"][3].split(".png")[0]][0] == "test"
    for name, (_, example) in stored.items():
        assert example["patient_id"].decode() == patient(name)
        if patient(name) == unknown:
            assert example["source"] == b"" and math.isnan(example["age"])


def lists_of(rows):
    return [line.split(".png")[0] for some in rows.values() for line in some]


def test_patients_that_the_user_joins(copy, make):
    rows = lists(copy)
    one, two, *_ = (n for n in rows if n.startswith("NCP_"))
    other = next(n for n in rows if n.startswith("CP_"))
    assert patient(one) == patient(two)
    text = f"example_id,patient\n{one},me\n{other},me\n"
    (copy / "patients.csv").write_text(text)
    builder = make(copy)
    stored = examples(builder)
    mine = {n for n, (_, e) in stored.items() if e["patient_id"] == b"me"}
    assert mine == {n for n in rows if patient(n) in (patient(one), patient(other))}
    assert two in mine and len({stored[n][0] for n in mine}) == 1
    found = counts(builder)
    assert found["images_not_in_patients_csv"] == 70


def test_broken_lists(copy, fails):
    path = copy / "val_COVIDx_CT-2A.txt"
    whole = path.read_text()
    lines = whole.splitlines()
    name, label, *_ = lines[3].split()
    lines[1] = ""
    lines[2] += " 7"
    lines[4] = f"{name} 3 10 10 20 20"
    lines[5] = f"{name} {label} 10 10 10 20"
    path.write_text("\n".join(lines))
    fails(copy, path.name, "3 lines", "line 3", "line 5", "line 6")
    path.write_text(f"{whole}{name} {label} 0 0 1 1\n")
    fails(copy, "1 slices", name)
    for content, words in [(b"\n", "empty"), (b"\xff\xfe", "UTF-8")]:
        path.write_bytes(content)
        fails(copy, path.name, words)
    path.unlink()
    fails(copy, "COVIDx CT release", "val_")


def test_box_beyond_the_picture(copy, fails):
    path = copy / "val_COVIDx_CT-2A.txt"
    name, label, *_ = path.read_text().split("\n")[0].split()
    edit(path, lambda text: f"{name} {label} 0 0 65 60\n" + text.split("\n", 1)[1])
    fails(copy, name, "(0, 0, 65, 60)", "64 x 64 pixels")


def test_half_unpacked(copy, tmp_path, fails):
    table = copy / "metadata.csv"
    table.rename(tmp_path / "table")
    fails(copy, "metadata.csv")
    text = (tmp_path / "table").read_text()
    table.write_text(text.replace("patient id", "patient"))
    fails(copy, "missing: patient id")
    table.write_text(text.replace("\nCP_", "\n,CP_"))
    fails(copy, "metadata.csv", "10 columns")
    table.write_text(text + ",CNCB,China,,,Normal,Yes,N/A,Axial,CT\n")
    fails(copy, "patient id", "row 19")
    table.write_text(text)
    images = copy / "2A_images"
    images.rename(tmp_path / "2A_images")
    fails(copy, "0 folders", "2a_images")
    images.mkdir()
    fails(copy, f"{images}: ")
    pictures = sorted((tmp_path / "2A_images").iterdir())
    for path in pictures[:30]:
        shutil.copy(path, images)
    fails(copy, "42 of the 72 slices", pictures[30].name)
    (copy / "other_images").mkdir()
    images.rename(copy / "my_images")
    fails(copy, "2 folders", "my_images, other_images")
