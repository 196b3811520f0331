import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tfds_builders.common.build.listing import (
    by_name,
    child,
    files,
    is_leftover,
    kind_of,
    skipped,
)

GREY = np.full((4, 4), 7, np.uint8)
CONTENT = {
    "PNG": cv2.imencode(".png", GREY)[1].tobytes(),
    "JPEG": cv2.imencode(".jpg", GREY)[1].tobytes(),
    "WebP": cv2.imencode(".webp", GREY)[1].tobytes(),
    "TIFF": cv2.imencode(".tiff", GREY)[1].tobytes(),
    "BMP": cv2.imencode(".bmp", GREY)[1].tobytes(),
    "DICOM": bytes(128) + b"DICM",
    "PDF": b"%PDF-1.7",
    "": b"text",
}


@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize("name", ["a", "a.webp", "a.jfif", "a.jpe", "a.txt"])
def test_content_decides_and_not_the_ending(tmp_path, kind, name):
    path = tmp_path / name
    path.write_bytes(CONTENT[kind])
    assert kind_of(path) == kind
    taken = kind not in ("DICOM", "PDF", "")
    assert files(tmp_path, (".png", ".jpg")) == [path] * taken
    assert files(tmp_path, (".dcm",)) == [path] * (kind not in ("PDF", ""))
    found = skipped({"A": tmp_path}, (".png", ".jpg"))
    assert found["files_not_images"] == int(not taken)
    if not taken:
        label = kind or path.suffix or "no ending"
        assert found[f"files_skipped:A ({label})"] == 1


def test_what_cannot_be_read_has_no_kind(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "DICOMDIR").write_bytes(CONTENT["DICOM"])
    assert [kind_of(p) for p in sorted(tmp_path.iterdir())] == ["", "", ""]
    assert kind_of(tmp_path / "none") == kind_of(tmp_path) == ""


@pytest.mark.parametrize(
    "name",
    ["._a.png", ".DS_Store", "Thumbs.db", "THUMBS.DB", "desktop.ini", "@eaDir"]
    + ["__MACOSX", ".snapshot", "#recycle", "$RECYCLE.BIN", "lost+found", "~$a.xlsx"],
)
def test_leftovers(tmp_path, name):
    assert is_leftover(name)
    (tmp_path / name).write_bytes(CONTENT["PNG"])
    assert files(tmp_path, (".png",)) == []
    assert skipped({"A": tmp_path}, (".png",)) == {"files_not_images": 0}
    assert not any(map(is_leftover, ("a.png", "_a.png", "A", "eaDir", "thumbs.png")))


def test_child(tmp_path):
    (tmp_path / "IMAGES").mkdir()
    assert child(tmp_path, "images") == tmp_path / "IMAGES"
    assert child(tmp_path, "masks") == tmp_path / "masks"
    (tmp_path / "Images").mkdir()
    assert child(tmp_path, "images") == tmp_path / "images"  # which of the two?
    assert child(tmp_path, "Images") == tmp_path / "Images"
    assert child(tmp_path / "none", "x") == tmp_path / "none" / "x"


@pytest.mark.parametrize(
    ("there", "names", "expected"),
    [
        ("a.png b.jpg", "a.png b.jpg", "a.png b.jpg"),
        ("a.PNG", "a.png", "a.PNG"),
        ("a.png b.jpeg", "a B", "a.png b.jpeg"),
        ("a.png", "a.jpg", "a.png"),  # converted
        ("a.1.png", "a.1", "a.1.png"),
        ("a.png a.jpg", "a", "-"),  # which of the two?
        ("a.png a.jpg", "a.png a", "a.png a.jpg"),  # one of them is taken
        ("a.png", "a.jpg a", "-"),
        ("a.png", "b a.png", "- a.png"),
        ("a.png", "A.png a.PNG", "-"),  # which of the two?
        ("a.png", "a.png A.png", "a.png -"),
    ],
)
def test_files_that_a_table_means(there, names, expected):
    found = by_name([Path("r", name) for name in there.split()], names.split())
    wanted = dict(zip(names.split(), expected.split(), strict=False))
    assert found == {n: Path("r", p) for n, p in wanted.items() if p != "-"}
