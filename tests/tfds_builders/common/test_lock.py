import errno

import pytest

from tfds_builders.common import lock


def held(path):
    asked = []

    def busy():
        asked.append(path)
        raise RuntimeError("busy")

    with lock.locked(path, busy):
        pass
    return asked


@pytest.mark.parametrize("code", ["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def test_a_file_system_without_locks_is_named_once(tmp_path, monkeypatch, capsys, code):
    def flock(file, how):
        raise OSError(getattr(errno, code), "no locks here")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    assert held(tmp_path / "lock") == []
    said = capsys.readouterr().err
    assert said.count("WARNING") == 1
    assert str(tmp_path) in said and "no locks here" in said


def test_other_errors_are_passed_on(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    with pytest.raises(OSError, match="broken"):
        held(tmp_path / "lock")


def test_a_second_holder_is_told(tmp_path):
    with (
        lock.locked(tmp_path / "lock", lambda: None),
        pytest.raises(RuntimeError, match="busy"),
    ):
        held(tmp_path / "lock")
    assert held(tmp_path / "lock") == []
