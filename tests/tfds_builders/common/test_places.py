import grp
import os
import pathlib
import pwd
import re
import shutil

import pytest
from etils import epath

from tfds_builders.build import build
from tfds_builders.common import places
from tfds_builders.common.errors import InputError


@pytest.fixture
def nameless(monkeypatch):
    """As in a container with --user, and in a folder of an unknown group."""

    def missing(number):
        raise KeyError(f"uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", missing)
    monkeypatch.setattr(grp, "getgrgid", missing)


def test_owners_without_name(nameless, tmp_path):
    places.allow_owners_without_name()
    places.allow_owners_without_name()  # twice is once
    path = tmp_path / "a"
    path.write_bytes(b"123")
    found = epath.Path(path).stat()
    assert (found.length, found.is_directory) == (3, False)
    assert found.owner == str(os.getuid()) and found.group == str(path.stat().st_gid)
    assert found.mode == path.stat().st_mode
    assert epath.Path(tmp_path).stat().is_directory
    with pytest.raises(FileNotFoundError):
        epath.Path(tmp_path / "b").stat()


def test_no_home(nameless, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    for path in ("~", "~/data"):
        with pytest.raises(InputError, match="HOME"):
            places.expanded(path)
    with pytest.raises(InputError, match="there is no user 'nobody-of-this-name'"):
        places.expanded("~nobody-of-this-name/x")
    with pytest.raises(InputError, match="--data_dir"):
        places.data_dir()
    assert places.data_dir("data") == tmp_path / "data"
    assert places.expanded("/a/~b") == pathlib.Path("/a/~b")
    assert not str(places.cache_dir()).startswith("~")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "t"))
    assert places.data_dir() == tmp_path / "t"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.expanded("~/data") == tmp_path / "data"
    assert places.data_dir(tmp_path) == tmp_path
    assert places.cache_dir() == tmp_path / ".cache/cxr_jax"


@pytest.mark.parametrize("home", ["", "~", "home/me"])
def test_home_that_is_no_absolute_path(home, monkeypatch):
    monkeypatch.setenv("HOME", home)
    with pytest.raises(InputError, match=re.escape(f"HOME is {home!r}")):
        places.expanded("~/data")


@pytest.mark.parametrize(
    "locked",
    ["data", "data/brixia", "data/brixia/256", "data/brixia/256/metadata.json"],
)
def test_a_dataset_that_may_not_be_read_is_not_called_damaged(
    brixia_data, tmp_path, monkeypatch, locked
):
    """Whoever runs this may be root, who may read all: so the system is asked for."""
    data = shutil.copytree(brixia_data, tmp_path / "data")
    for path in (data / "brixia/256").glob("*/*.json"):  # as if without a version
        shutil.copy(path, data / "brixia/256")
    access, denied = os.access, tmp_path / locked

    def ask(path, how):
        return (pathlib.Path(path) != denied or how == os.F_OK) and access(path, how)

    assert places.unreadable(data / "brixia") is None
    monkeypatch.setattr(os, "access", ask)
    with pytest.raises(
        InputError, match="may not be read: it belongs to user"
    ) as error:
        build("brixia/256", data_dir=data, quiet=True)
    assert error.value.where == str(denied) and "not damaged" in error.value.hint
    assert places.unreadable(tmp_path / "none") is None
