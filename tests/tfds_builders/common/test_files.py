"""Files are whole or not there, also where several writers meet."""

import hashlib
import os
import threading

import pytest

from tfds_builders.common import files
from tfds_builders.common.errors import InputError


@pytest.mark.parametrize("text", ["", "grün\r\nand\n", "x" * 100_000])
def test_text_is_read_back_as_it_is(tmp_path, text):
    path = tmp_path / "new" / "a.txt"
    files.write_text(path, text)
    assert path.read_bytes() == text.encode()
    assert files.sha256(path) == hashlib.sha256(text.encode()).hexdigest()
    assert os.listdir(path.parent) == ["a.txt"]


def test_writers_of_one_file_do_not_meet(tmp_path, monkeypatch):
    """All of them are in the middle of writing at the same time."""
    path, texts = tmp_path / "a.json", [f"{k}" * 5000 for k in range(8)]
    together, sync = threading.Barrier(len(texts)), os.fsync

    def wait(descriptor):
        together.wait(30)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", wait)
    threads = [threading.Thread(target=files.write_text, args=(path, t)) for t in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    files.write_text(path, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"No space left[\s\S]*GB are free"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["results.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{}", b"[1]", None])
def test_json_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as error:
        files.read_json(path, missing="run it again", damaged="restore it")
    assert error.value.where == str(path)
    assert error.value.hint == ("run it again" if content is None else "restore it")
