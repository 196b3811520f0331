"""A system without array_record: a message instead of a traceback."""

import importlib.util

import pytest

from cxr_jax.data import source
from tfds_builders import build
from tfds_builders.common.errors import InputError


@pytest.mark.parametrize("read", [build.make_builder, source.open_builder])
def test_says_where_it_exists(read, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="is not installed(.|\n)*Apple silicon"):
        read("brixia", tmp_path)


def test_building_is_imported_without_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "array_record", None)
    importlib.reload(build)
