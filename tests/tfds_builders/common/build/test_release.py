import errno
import os

import pytest

from tfds_builders.common.build.release import find_release, is_synthetic
from tfds_builders.common.errors import InputError


def find(folder):
    return find_release(
        folder, lambda f: (f / "P").is_dir(), "thing (a folder with P/)", "Fetch it."
    )


@pytest.mark.parametrize("inside", ["", "COVIDGR_1.0", "download/COVIDGR_1.0"])
def test_the_folder_itself_or_the_one_that_holds_it(tmp_path, inside):
    (tmp_path / inside / "P").mkdir(parents=True)
    assert find(tmp_path) == tmp_path / inside


def test_nearest_wins(tmp_path):
    (tmp_path / "a" / "P").mkdir(parents=True)
    (tmp_path / "b" / "c" / "P").mkdir(parents=True)
    assert find(tmp_path) == tmp_path / "a"


def test_two_on_one_level(tmp_path):
    (tmp_path / "a" / "P").mkdir(parents=True)
    (tmp_path / "b" / "P").mkdir(parents=True)
    with pytest.raises(InputError, match="2 releases: .*/a, .*/b"):
        find(tmp_path)


def test_absent(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        find(tmp_path / "none")
    with pytest.raises(InputError, match="thing .* nothing"):
        find(tmp_path)
    archive = tmp_path / "release.tar.gz.001"
    archive.write_bytes(b"")
    with pytest.raises(InputError, match="Unpack release.tar.gz.001 first"):
        find(tmp_path)
    with pytest.raises(InputError, match="a file, not a folder"):
        find(archive)


def test_hidden_folders_and_files_are_passed_over(tmp_path):
    # What a Mac leaves in an archive.
    (tmp_path / "__MACOSX" / "P").mkdir(parents=True)
    (tmp_path / "real" / "P").mkdir(parents=True)
    assert find(tmp_path) == tmp_path / "real"


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "b" / "P").mkdir(parents=True)
    listdir = os.listdir

    def denied(folder):
        if str(folder).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", denied)
    (tmp_path / "locked").mkdir()
    assert find(tmp_path) == tmp_path / "b"
    (tmp_path / "b" / "P").rmdir()
    for folder in (tmp_path, tmp_path / "locked"):
        with pytest.raises(InputError, match="Permission denied") as error:
            find(folder)
        assert error.value.where == str(tmp_path / "locked")
        assert "permission" in error.value.hint


def test_synthetic_mark(tmp_path):
    release = tmp_path / "release"
    release.mkdir()
    assert not is_synthetic(release)
    (release / "SYNTHETIC.txt").write_text("drawn")
    assert is_synthetic(release)
