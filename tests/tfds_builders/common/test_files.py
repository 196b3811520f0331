"""Files are whole or not there, also where several writers meet."""

import concurrent.futures
import errno
import hashlib
import json
import os
import threading
import types

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


def test_1600_writes_by_eight_and_readers_in_between(tmp_path, monkeypatch):
    """Every write succeeds, and every reader gets a whole file."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # of no concern here
    path, done = tmp_path / "a.json", threading.Event()
    files.write_text(path, json.dumps({"who": 0, "text": ""}))

    def write(who):
        for number in range(200):
            content = {"who": who, "text": str(number) * 3000}
            files.write_text(path, json.dumps(content))

    def read():
        number = 0
        while not done.is_set():
            content = files.read_json(path, missing="")
            assert set(content) == {"who", "text"}
            number += 1
        return number

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        try:
            list(pool.map(write, range(8)))
        finally:
            done.set()
        assert sum(reader.result() for reader in readers) > 8
    assert os.listdir(tmp_path) == ["a.json"]


def test_the_longest_name_there_is(tmp_path):
    path = tmp_path / ("ä" * 125 + ".json")
    files.write_text(path, "text")
    assert path.read_text() == "text"


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


def test_what_to_do_about_a_full_disk(tmp_path, monkeypatch):
    full = {"f_bavail": 10**6, "f_frsize": 4096, "f_files": 100, "f_favail": 50}
    monkeypatch.setattr(os, "statvfs", lambda path: types.SimpleNamespace(**full))
    path = tmp_path / "not" / "there"
    assert "free some space" in files.make_room(path, errno.ENOSPC)
    assert "4.1 GB" in files.make_room(path, errno.ENOSPC)
    full["f_favail"] = 0
    found = files.make_room(path, errno.ENOSPC)
    assert "no inodes" in found and "space" not in found
    assert "inodes" not in files.make_room(path, errno.EDQUOT)
    full["f_files"] = 0  # a file system that counts none
    assert "inodes" not in files.make_room(path, errno.ENOSPC)
    assert "permission" in files.make_room(path, errno.EROFS)
    assert "name" in files.make_room(path, errno.ENAMETOOLONG)


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(InputError, match="Shorten its name") as error:
        files.write_text(tmp_path / ("a" * 300), "text")
    assert "too long" in error.value.found
