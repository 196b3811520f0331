import pytest

from tfds_builders.common.build.release import files, find_release, is_synthetic, others
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
    for name in ("._b.png", "b.PNG", "a.png", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in files(tmp_path, (".png",))] == ["a.png", "b.PNG"]


def test_skipped_files_are_counted_but_not_those_of_the_system(tmp_path):
    for name in ("a.png", "b.PNG", "c.tif", "notes", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder").mkdir()
    assert others(tmp_path, (".png",)) == 2


def test_synthetic_mark(tmp_path):
    release = tmp_path / "release"
    release.mkdir()
    assert not is_synthetic(release)
    (release / "SYNTHETIC.txt").write_text("drawn")
    assert is_synthetic(release)
