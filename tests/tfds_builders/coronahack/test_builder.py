"""The coronahack builder, from a release to what a reader gets; no TensorFlow."""

import collections
import csv
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from stored import counts, examples

from tfds_builders.common.articles import article_of
from tfds_builders.common.splits import train_or_val
from tfds_builders.coronahack.file_names import origin_of

FOLDER = "Coronahack-Chest-XRay-Dataset"
TABLE = "Chest_xray_Corona_Metadata.csv"
CLASSES = [
    "Normal",
    "Bacterial pneumonia",
    "Viral pneumonia",
    "COVID-19",
    "SARS",
    "ARDS",
]
SHARED = "test_images_of_train_patients"


def table(release):
    """Rows by the name without ending, read by hand."""
    with open(release / TABLE, newline="", encoding="utf-8-sig") as file:
        return {Path(row["X_ray_image_name"]).stem: row for row in csv.DictReader(file)}


def files(release):
    """Pictures by the name without ending."""
    return {path.stem: path for path in (release / FOLDER / FOLDER).glob("*/*")}


def class_of(row):
    first, second = row["Label_1_Virus_category"], row["Label_2_Virus_category"]
    if row["Label"] == "Normal":
        return "Normal"
    if second in ("COVID-19", "SARS", "ARDS"):
        return second
    return {"Virus": "Viral pneumonia", "bacteria": "Bacterial pneumonia"}[first]


def check(builder, release):
    """Every picture with a row once, with what the row and the file say."""
    stored, rows, paths = examples(builder), table(release), files(release)
    label = builder.info.features["label"]
    assert label.names == CLASSES
    assert stored.keys() == rows.keys() & paths.keys()
    for name, (_, example) in stored.items():
        row = rows[name]
        assert label.int2str(example["label"]) == class_of(row)
        assert example["original_label"].decode() == row["Label"]
        assert example["original_label_1"].decode() == row["Label_1_Virus_category"]
        assert example["original_label_2"].decode() == row["Label_2_Virus_category"]
        assert example["original_split"].decode() == row["Dataset_type"]
        child = name.startswith(("IM-", "NORMAL2-IM-", "person"))
        assert example["source"] == (b"Kermany" if child else b"Cohen")
        assert example["age_group"] == (b"child" if child else b"")
        pixels = cv2.imread(str(paths[name]), cv2.IMREAD_UNCHANGED)
        if pixels.ndim == 3:
            spread = np.ptp(pixels.astype(int), axis=2).mean()
            assert example["coloured"] == (spread > 3)
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        np.testing.assert_array_equal(example["image"][..., 0], pixels)
    return stored


def one_split_each(stored):
    """A number of a child or an article is in one split only."""
    splits = collections.defaultdict(set)
    for name, (split, example) in stored.items():
        number = re.match(r"person\d+|(?:NORMAL2-)?(IM-\d+)", name)
        if number:
            splits[number[1] or number[0]].add(split)
        for start in (r"kjr-21-e\d+", r"1-s2\.0-S\d+", r"\d+_2020_819", r"SARS-[\w.]+"):
            if found := re.match(start, name):
                splits[found[0]].add(split)
        splits["id", example["patient_id"]].add(split)
    assert {len(of_one) for of_one in splits.values()} == {1}
    return splits


def test_default(release, builder):
    stored = check(builder, release)
    one_split_each(stored)
    metadata = builder.info.metadata
    assert metadata["unit"] == "patients or near-duplicate groups"
    found = counts(builder)
    assert found["images_not_listed"] == len(files(release)) - len(stored) == 1
    assert found["rows_without_image"] == 0
    coloured = sum(int(e["coloured"]) for _, e in stored.values())
    assert found["images_coloured"] == coloured > 2
    assert SHARED not in found
    # COVID-19 can be evaluated.
    assert metadata["splits"]["test"]["COVID-19"]


def test_original_split(release, builder, make):
    other = make(release, "512_original_split")
    stored = check(other, release)
    ids = {name: e["patient_id"] for name, (_, e) in examples(builder).items()}
    rows = table(release)
    for name, (split, example) in stored.items():
        assert example["patient_id"] == ids[name]
        part = rows[name]["Dataset_type"]
        wanted = "test" if part == "TEST" else train_or_val(ids[name].decode())
        assert split == wanted
    assert other.info.metadata["splits"]["test"]["COVID-19"] == 0
    assert "no COVID-19" in other.builder_config.description
    trained = {ids[name] for name in stored if rows[name]["Dataset_type"] == "TRAIN"}
    shared = sum(ids[n] in trained for n in stored if rows[n]["Dataset_type"] == "TEST")
    assert other.info.metadata["counts"][SHARED] == shared > 0


def test_splits_of_known_patients_never_change(copy, make):
    """IM-0927 is in both series, person1 has a film of each kind."""
    names = {
        "IM-0115-0001": ("IM-0115", "test", 0),
        "NORMAL2-IM-0927-0001-0002": ("IM-0927", "train", 4),
        "IM-0927-0001": ("IM-0927", "train", 4),
        "person1946_bacteria_4875": ("person1946", "train", 4),
        "person1_virus_6": ("person1", "val", 2),
        "person1_bacteria_2": ("person1", "val", 2),
    }
    normal = [n for n in table(copy) if n.startswith(("IM-", "NORMAL2"))]
    paths = files(copy)
    text = [(copy / TABLE).read_text().splitlines()[0]]
    for name, old in zip(names, normal, strict=False):
        paths[old].rename(copy / FOLDER / FOLDER / "train" / f"{name}.jpeg")
        text.append(f",{name}.jpeg,Normal,TRAIN,,")
    (copy / TABLE).write_text("\n".join(text))
    stored = examples(make(copy, "256"))
    found = {
        name: (example["patient_id"].decode(), split, int(example["fold"]))
        for name, (split, example) in stored.items()
    }
    assert found == names


@pytest.mark.parametrize(
    ("name", "article"),
    [
        ("kjr-21-e24-g003-l-a", "kjr-21-e24"),
        ("jkms-35-e79-g001-l-c", "jkms-35-e79"),
        ("gr1_lrg-b", "gr1"),
        ("all14238-fig-0001-m-b", "all14238"),
        (
            "SARS-10.1148rg.242035193-g04mr34g09c-Fig9c-day27",
            "SARS-10.1148rg.242035193",
        ),
        ("41591_2020_819_Fig1_HTML.webp-day10", "41591_2020_819"),
        ("1-s2.0-S1684118220300682-main.pdf-003-b2", "1-s2.0-S1684118220300682"),
        ("1-s2.0-S0929664620300449-gr2_lrg-d", "1-s2.0-S0929664620300449"),
        ("1-s2.0-S0140673620303706-fx1_lrg", "1-s2.0-S0140673620303706"),
        ("nejmoa2001191_f3-PA", "nejmoa2001191"),
        ("ryct.2020200034.fig5-day7", "ryct.2020200034"),
        (
            "streptococcus-pneumoniae-pneumonia-temporal-evolution-1-day3",
            "streptococcus-pneumoniae-pneumonia-temporal-evolution-1",
        ),
        ("streptococcus-pneumoniae-pneumonia-1", ""),
        ("acute-respiratory-distress-syndrome-ards-1", ""),
        ("FE9F9A5D-2830-46F9-851B-1FF4534959BE", ""),
        ("7D2CF6CE-F529-4470-8356-D33FFAF98600", ""),
        ("5e6dd879fde9502400e58b2f", ""),
    ],
)
def test_article_of_names_of_the_release(name, article):
    assert article_of(name) == article
    assert origin_of(name) == ("Cohen", "", article)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person1946_bacteria_4875", "person1946"),
        ("person1_virus_6", "person1"),
        ("IM-0115-0001", "IM-0115"),
        ("IM-0523-0001-0003", "IM-0523"),
        ("NORMAL2-IM-0927-0001", "IM-0927"),
    ],
)
def test_patient_of_names_of_the_release(name, patient):
    assert origin_of(name) == ("Kermany", "child", patient)


def test_planted_copies_share_a_split(copy, builder, make):
    """A re-encoded, smaller copy of a child's film, under the name of another child."""
    rows = table(copy)
    films = sorted(n for n in rows if n.startswith("person"))[::6]
    lines = []
    for k, name in enumerate(films):
        pixels = cv2.imread(str(files(copy)[name]), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(pixels, None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA)
        planted = f"person{9000 + k}_virus_{9000 + k}.jpeg"
        cv2.imwrite(str(copy / FOLDER / FOLDER / "train" / planted), small)
        lines.append(f"{9000 + k},{planted},Pnemonia,TRAIN,,Virus\n")
    with open(copy / TABLE, "a") as file:
        file.writelines(lines)
    joined = make(copy)
    stored = examples(joined)
    ids = {name: e["patient_id"] for name, (_, e) in stored.items()}
    for k, name in enumerate(films):
        assert ids[name] == ids[f"person{9000 + k}_virus_{9000 + k}"]
    one_split_each(stored)
    found = counts(joined)
    text = "near_duplicate_groups"
    before = builder.info.metadata["counts"][text]
    assert found[text] == before + len(films)


def test_rows_and_images_that_miss_each_other(copy, builder, make):
    before = examples(builder)
    paths = {name: path for name, path in files(copy).items() if name in before}
    gone, moved, *_ = sorted(n for n, p in paths.items() if p.parent.name == "train")
    paths[gone].unlink()
    paths[moved].rename(copy / FOLDER / FOLDER / "test" / paths[moved].name)
    (copy / FOLDER / FOLDER / "test" / "notes.txt").write_text("no picture")
    other = make(copy, "256")
    assert examples(other).keys() == before.keys() - {gone, moved}
    found = counts(other)
    assert found["rows_without_image"] == 2
    assert found["images_not_listed"] == 2
    assert found["files_not_images"] == 1


@pytest.mark.parametrize("levels", [0, 1])
def test_other_copies_of_the_release(copy, builder, levels, make):
    """Without the doubled folder; the table corrected by a spreadsheet."""
    inner = copy / FOLDER / FOLDER
    target = copy / FOLDER if levels else copy
    for part in ("train", "test"):
        (inner / part).rename(target / part)
    shutil.rmtree(inner if levels else copy / FOLDER)
    text = (copy / TABLE).read_text().replace("Pnemonia", "Pneumonia")
    text = "\ufeff" + text.replace(",", ";").replace("\n", "\r\n")
    (copy / TABLE).write_bytes(text.encode())
    other = examples(make(copy))
    before = examples(builder)
    assert other.keys() == before.keys()
    for name, (split, example) in before.items():
        assert other[name][0] == split
        for key in ("label", "patient_id"):
            assert other[name][1][key] == example[key]


@pytest.mark.parametrize("inside", [FOLDER, f"{FOLDER}/{FOLDER}"])
def test_folder_without_the_table(copy, inside, fails):
    fails(copy / inside, f"no {TABLE}", f"folder {copy},")
    (copy / TABLE).unlink()
    fails(copy / inside, f"no {TABLE}")
    fails(copy, f"no {TABLE}")


def test_half_unpacked(copy, tmp_path, fails):
    test = copy / FOLDER / FOLDER / "test"
    test.rename(tmp_path / "test")
    fails(copy, "folder test", "train")
    test.mkdir()
    fails(copy, f"{test}: ")
    shutil.rmtree(copy / FOLDER)
    fails(copy, "test, train")


def test_table_of_another_release(copy, fails):
    text = (copy / TABLE).read_text()
    (copy / TABLE).write_text(text.replace(".jp", "-2.jp").replace(".png", "-2.png"))
    fails(copy, TABLE, "120")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Label_2_Virus_category", "Label_2", ["missing: Label_2_Virus_category"]),
        ("Pnemonia,TEST", "Pnemonia,VAL", ["Dataset_type", "'VAL'"]),
        (
            "Pnemonia,TRAIN,COVID-19",
            "Pnemonia,TRAIN,Influenza",
            ["'Pnemonia', 'Virus', 'Influenza'"],
        ),
    ],
)
def test_broken_table(copy, old, new, words, fails):
    text = (copy / TABLE).read_text()
    assert old in text
    (copy / TABLE).write_text(text.replace(old, new))
    fails(copy, TABLE, *words)


def test_rows_twice_or_without_a_name(copy, fails):
    lines = (copy / TABLE).read_text().splitlines()
    name = Path(lines[1].split(",")[1]).stem
    (copy / TABLE).write_text("\n".join([*lines, lines[1], "9,,Normal,TRAIN,,"]))
    fails(copy, TABLE, "2 ", name)


def test_phantom_is_in_the_format_of_the_release(release):
    """Against public copies of both tables."""
    lines = (release / TABLE).read_bytes().decode().split("\n")
    assert lines.pop() == ""
    assert lines[0] == (
        ",X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,"
        "Label_1_Virus_category"
    )
    index = [int(line.split(",")[0]) for line in lines[1:]]
    assert index == sorted(index) and index[-1] == 119
    assert len(index) == 119  # a gap where an image has no row
    kinds = collections.Counter(line.split(",", 2)[2] for line in lines[1:])
    assert set(kinds) == {
        "Normal,TRAIN,,",
        "Normal,TEST,,",
        "Pnemonia,TRAIN,,Virus",
        "Pnemonia,TEST,,Virus",
        "Pnemonia,TRAIN,,bacteria",
        "Pnemonia,TEST,,bacteria",
        "Pnemonia,TRAIN,COVID-19,Virus",
        "Pnemonia,TRAIN,SARS,Virus",
        "Pnemonia,TRAIN,Streptococcus,bacteria",
        "Pnemonia,TRAIN,ARDS,Stress-Smoking",
    }
    summary = (release / "Chest_xray_Corona_dataset_Summary.csv").read_text()
    header, *rows = summary.splitlines()
    assert header == ",Label,Label_1_Virus_category,Label_2_Virus_category,Image_Count"
    virus = kinds["Pnemonia,TRAIN,,Virus"] + kinds["Pnemonia,TEST,,Virus"]
    assert rows[1] == "1,Pnemonia,Stress-Smoking,ARDS,1"
    assert rows[2] == f"2,Pnemonia,Virus,,{virus}"
    suffixes = collections.Counter(path.suffix for path in files(release).values())
    assert set(suffixes) == {".jpeg", ".jpg", ".png"}
