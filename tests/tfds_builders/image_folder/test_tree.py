"""Classes and splits from the folders of trees that were made for the purpose."""

import os
import tempfile
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED_DATA
from stored import needs

from tfds_builders.common.build.release import find_release
from tfds_builders.common.errors import InputError
from tfds_builders.image_folder.tree import example_id, is_release, read_tree

SPELLINGS = {
    "train": ("train", "Training", "TRAIN"),
    "val": ("val", "Valid", "validation"),
    "test": ("test", "Testing", "TEST"),
}
DICOM = bytes(128) + b"DICM"


def make(root, *files):
    """Empty files; a name that ends with / is an empty folder."""
    for file in files:
        path = Path(root, file)
        if file.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    return Path(root)


class_names = st.text("abXY é9_-", min_size=1, max_size=6).filter(
    lambda name: name == name.strip() and not name.startswith("__")
)
file_names = st.tuples(
    st.lists(st.sampled_from(["p 1", "study", "ü"]), max_size=2),
    st.text("xyz (1)", min_size=1, max_size=3),
    st.sampled_from([".png", ".JPG", ".jpeg", ".dcm", ".txt", ".tif"]),
).map(lambda parts: "/".join([*parts[0], parts[1] + parts[2]]))


@st.composite
def trees(draw):
    """Files of a tree, and (file, class, split folder) of its pictures."""
    classes = draw(
        st.lists(class_names, min_size=2, max_size=4, unique_by=str.casefold)
    )
    parts = draw(st.sets(st.sampled_from(list(SPELLINGS))))
    folders = {part: draw(st.sampled_from(SPELLINGS[part])) for part in sorted(parts)}
    folders = folders or {"": ""}
    files, expected = set(), set()
    for k, (part, folder) in enumerate(folders.items()):
        for label in classes:
            inside = Path(folder, label).as_posix()
            names = set(draw(st.lists(file_names, max_size=3)))
            names |= {"one.png"} if k == 0 else set()
            files |= {f"{inside}/{name}" for name in names} | {f"{inside}/"}
            expected |= {
                (f"{inside}/{name}", label, part)
                for name in names
                if not name.endswith((".txt", ".tif"))
            }
    # A split folder without any picture is none.
    return files, expected, classes, {part for _, _, part in expected}


@settings(max_examples=30, deadline=None)
@given(trees(), st.lists(st.sampled_from(["archive", "x 1"]), max_size=2))
def test_any_tree(tree, wrapped):
    files, expected, classes, parts = tree
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder, *wrapped), *files)
        release = find_release(Path(folder), is_release, "", "")
        assert release == Path(folder, *wrapped)
        found = read_tree(release)
        assert found.classes == sorted(classes)
        assert {(p.file, p.label, p.folder) for p in found.pictures} == expected
        assert len(found.pictures) == len(expected)
        assert set(found.parts) == parts - {""}
        assert len({p.name for p in found.pictures}) == len(expected)
        assert all(p.path == release / p.file for p in found.pictures)
        pictures_deeper = [
            file for file, _, part in expected if file.count("/") > (2 if part else 1)
        ]
        assert found.counts["images_in_nested_folders"] == len(pictures_deeper)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text())
def test_example_ids_can_be_turned_back(file, other):
    name = example_id(file)
    assert unquote(name.replace("~", "/")) == unicodedata.normalize("NFC", file)
    assert name == name.strip() and name.splitlines() == [name]
    assert not set(name) & set('/\\:*?"<>|\0')
    same = unicodedata.normalize("NFC", file) == unicodedata.normalize("NFC", other)
    assert other == "" or (example_id(other) == name) == same


def test_example_ids_by_hand():
    assert example_id("train/NORMAL/IM-1.jpeg") == "train~NORMAL~IM-1.jpeg"
    assert example_id("a~b/50%.png") == "a%7Eb~50%25.png"
    assert example_id(" a/b\nc.png") == "%20a~b%0Ac.png"
    assert example_id("e\u0301/ü (1).png") == "é~ü (1).png"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["train/A/x.png"], ": A"),
        (["train/x.png", "test/y.png"], "no class folders (2 images"),
        (
            ["train/N/x.png", "train/PNEU/x.png", "test/N/x.png", "test/Pneum/x.png"],
            "differ (train: N, PNEU; test: N, Pneum)",
        ),
        (["train/A/x.png", "train/B/x.png", "test/x.png"], "test: no folders"),
        (["A/x.png", "B/x.png", "C/"], "PNG, JPEG or DICOM: C"),
        (["A/x.png", "B/x.png", "C/x.tif"], "PNG, JPEG or DICOM: C"),
        (["A/train/x.png", "B/train/x.png"], "train"),
        (["N/x.png", "P/x.png", "again/N/x.png"], ": N"),
        (["train/A/x.png", "Training/A/x.png"], "train: Training and train"),
        (["train/A/x.png", "extra/x.png"], "beside train: extra"),
        (["A/images/1.png", "A/masks/1.png", "B/1.png"], "covid_radiography"),
        (["images/1.png", "masks/1.png"], "masks"),
        (["A/1.png", "B/ManualMask/1.png"], "masks"),
        (["A/1.png", "B/x.png", "B/x_mask.png"], "B/x_mask.png"),
        (["A/1.png", "B/a (1).png", "B/a (1)_mask_1.png"], "B/a (1)_mask_1.png"),
        ([f"p{k}/x.png" for k in range(21)], "21 class folders with 21 images"),
        (["A/x.png", "a/x.png"], "'A' and 'a'"),
        (["A/x.png", "A /x.png"], "'A' and 'A '"),
        (["A/x.png", "B\n/x.png", "B\u2028C/x.png"], r"'B\u2028C'"),
        (["A/e\u0301.png", "A/\u00e9.png", "B/x.png"], "A/e\u0301.png"),
    ],
)
def test_refused(tmp_path, files, words):
    make(tmp_path, *files)
    assert is_release(tmp_path) or words in (": A", "beside train: extra")
    with pytest.raises(InputError) as error:
        read_tree(tmp_path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "files",
    [
        ["A/x_mask.png", "B/x.png"],  # not beside x
        ["Unmasked/x.png", "B/x.png"],
        [f"class {k}/{n}.png" for k in range(21) for n in range(5)],
        ["train/A/x.png", "train/B/x.png", "test/A/x.png", "test/B/"],
        ["train/A/x.png", "train/B/x.png", "val/", "docs/readme.txt"],
    ],
)
def test_not_refused(tmp_path, files):
    found = read_tree(make(tmp_path, *files)).pictures
    assert len(found) == sum(file.endswith(".png") for file in files)


def test_what_is_skipped_is_counted(tmp_path):
    make(
        tmp_path,
        *("readme.png", "train/loose.jpg", "train/._loose.jpg", "patients.csv"),
        *("train/A/1.png", "train/A/notes.txt", "train/A/Thumbs.db", "train/B/2.png"),
        *("train/A/.DS_Store", "train/A/p 1/3.dcm", "train/__MACOSX/A/._1.png"),
        *("val/A/", "val/B/", "chest_xray/train/A/1.png", "chest_xray/test/A/1.png"),
    )
    tree = read_tree(tmp_path)
    files = [picture.file for picture in tree.pictures]
    assert files == ["train/A/1.png", "train/A/p 1/3.dcm", "train/B/2.png"]
    assert tree.parts == ("train",)
    assert tree.counts == {
        "files_not_images": 1,
        "files_skipped:A (.txt)": 1,
        "class_folders_of_other_case": 0,
        "images_outside_class_folders": 2,
        "images_in_nested_folders": 1,
        "split_folders_empty": 1,
        "images_of_second_tree": 2,
    }


LEFTOVERS = (
    *("._1.png", ".DS_Store", "Thumbs.db", "desktop.ini", "@eaDir/1.png/SYNO.jpg"),
    *(".snapshot/1.png", "#recycle/1.png", "__MACOSX/._1.png", "~snapshot/1.png"),
    *("$RECYCLE.BIN/1.png", "System Volume Information/1.png", ".Trash-1000/1.png"),
)


@pytest.mark.parametrize("left", LEFTOVERS)
def test_what_systems_leave_is_not_there(tmp_path, left):
    """In the tree, in a split folder, in a class folder."""
    tree = [f"{part}/{label}/1.png" for part in ("train", "test") for label in "AB"]
    root = make(tmp_path / "r", *tree, left, f"train/{left}", f"test/A/{left}")
    assert find_release(tmp_path, is_release, "", "") == root
    tree_found = read_tree(root)
    assert sorted(p.file for p in tree_found.pictures) == sorted(tree)
    assert tree_found.skipped == [] and not any(tree_found.counts.values())


def test_classes_in_another_case_are_one(tmp_path):
    make(tmp_path, "train/NORMAL/1.png", "train/PNEUMONIA/1.png")
    make(tmp_path, "test/Normal/2.png", "test/pneumonia/2.png")
    tree = read_tree(tmp_path)
    assert tree.classes == ["NORMAL", "PNEUMONIA"]
    assert [(p.file, p.label) for p in tree.pictures][:2] == [
        ("test/Normal/2.png", "NORMAL"),
        ("test/pneumonia/2.png", "PNEUMONIA"),
    ]
    assert tree.counts["class_folders_of_other_case"] == 2


def test_doubled_split_folder(tmp_path):
    make(tmp_path, "train/Train/A/1.png", "train/Train/B/1.png", "test/A/2.png")
    make(tmp_path, "test/B/", "train/__MACOSX/x.png")
    files = [(p.file, p.label, p.folder) for p in read_tree(tmp_path).pictures]
    assert files == [
        ("test/A/2.png", "A", "test"),
        ("train/Train/A/1.png", "A", "train"),
        ("train/Train/B/1.png", "B", "train"),
    ]


def test_dicom_needs_no_ending(tmp_path):
    make(tmp_path, "A/IM0001", "A/1.2.840.113", "A/DICOMDIR", "A/notes", "B/x.dicom")
    for name in ("IM0001", "1.2.840.113", "DICOMDIR"):
        (tmp_path / "A" / name).write_bytes(DICOM)
    found = read_tree(tmp_path)
    files = [picture.file for picture in found.pictures]
    assert files == ["A/1.2.840.113", "A/IM0001", "B/x.dicom"]
    assert found.counts["files_not_images"] == 2


def test_links(tmp_path):
    real = make(tmp_path / "real", "one/1.png", "two/2.png")
    tree = make(tmp_path / "tree", "A/3.png")
    (tree / "B").symlink_to(real / "one")
    (tree / "A" / "deeper").symlink_to(real)
    (tree / "A" / "4.png").symlink_to(real / "one" / "1.png")
    (tree / "A" / "gone.png").symlink_to(real / "gone.png")
    os.mkfifo(tree / "A" / "pipe.png")
    files = [picture.file for picture in read_tree(tree).pictures]
    deeper = ["A/deeper/one/1.png", "A/deeper/two/2.png"]
    # What a link to nothing is for is told when it is read.
    assert files == sorted(["A/3.png", "A/4.png", "A/gone.png", *deeper, "B/1.png"])
    (real / "two" / "up").symlink_to(real)
    with pytest.raises(InputError, match="a link"):
        read_tree(tree)


def test_deep_tree(tmp_path):
    inside = "/".join(["d"] * 150)
    make(tmp_path, f"A/{inside}/1.png", "B/2.png")
    assert len(read_tree(tmp_path).pictures[0].path.parts) > 150


def test_names_that_are_not_text(tmp_path):
    make(tmp_path, "A/1.png", 'B/new\nline, "quoted".png')
    assert read_tree(tmp_path).pictures[1].name == "B~new%0Aline, %22quoted%22.png"
    name = os.fsencode(tmp_path) + b"/B/caf\xe9.png"
    os.close(os.open(name, os.O_CREAT))
    with pytest.raises(InputError, match=r"not UTF-8: 'B/caf\\udce9.png'"):
        read_tree(tmp_path)


def test_folder_that_may_not_be_read(tmp_path, monkeypatch):
    make(tmp_path, "A/1.png", "B/2.png", "C/3.png")
    listed = os.listdir

    def forbidden(folder):
        if Path(folder).name == "C":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "listdir", forbidden)
    assert is_release(tmp_path)
    with pytest.raises(InputError, match=r"C: cannot be read \(Permission denied"):
        read_tree(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        [],
        ["x.png"],
        ["one/x.png"],
        ["docs/x.png", "src/x.py", "data/x.csv"],
        ["train/x.txt", "test/A/x.py"],
        [".hidden/A/x.png", "__MACOSX/A/x.png", "B/x.png"],
    ],
)
def test_other_folders_are_no_release(tmp_path, files):
    assert not is_release(make(tmp_path, *files))


def test_one_class_is_told(tmp_path):
    make(tmp_path, "COVID/1.png", "COVID/2.png")
    with pytest.raises(InputError, match="COVID\n"):
        find_release(tmp_path, is_release, "tree", "")


@needs(SHARED_DATA / "COVID-19_Radiography_Dataset")
def test_real_folders():
    database = SHARED_DATA / "COVID-19_Radiography_Dataset"
    tree = read_tree(database)
    assert tree.classes == ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]
    for label in tree.classes:
        there = sorted(p.name for p in (database / label / "images").glob("*.png"))
        found = [p.path.name for p in tree.pictures if p.label == label]
        assert sorted(found) == there
    # A folder of several datasets is not taken for one.
    with pytest.raises(InputError):
        read_tree(SHARED_DATA)
