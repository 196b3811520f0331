"""Sweep files and the mistakes in them."""

import os
import re
import sys

import pytest

from launch import plan
from tfds_builders.common.errors import InputError


def test_runs_are_named_by_what_they_change(config, names):
    assert tuple(run.name for run in plan.load(str(config))) == names


@pytest.mark.parametrize("extra", [[], ["--config.batch_size=4"]])
def test_a_sweep_changed_within_a_second_is_read_again(config, monkeypatch, extra):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    written = config.stat().st_mtime_ns
    for lr in (2e-3, 4e-3):
        text = config.read_text()
        config.write_text(
            re.sub(r"\(.e-3, 1e-2\)", f"({1000 * lr:.0f}e-3, 1e-2)", text)
        )
        os.utime(config, ns=(written, written))
        assert plan.load(str(config), extra)[0].overrides["optim.lr"] == lr


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("optim.lr", "optim.lrr", "lrr"),
        ("optim.lr", "optimm.lr", "optimm"),
        ("(0, 1)", "(0, 0)", "twice"),
        ("(0, 1)", "()", "does not add a run"),
        ('{"optim.lr": lr', '{"data.data_dir": "a"', "would count as one"),
        ("def sweep", "def swep", "does not define sweep"),
        ("def get_config", "def config", "does not define get_config"),
        ("jax.configs", "jax.confgs", "No module named 'cxr_jax.confgs'"),
        ("import quickstart", "import quick", "line 2: ImportError: .*'quick'"),
        ("def sweep(add):", "1 / 0\ndef sweep(add):", "line 7: ZeroDivisionError"),
        ("def sweep(add):", "def sweep(add)", "SyntaxError"),
    ],
)
def test_mistakes_in_a_sweep_are_found_before_it_starts(config, old, new, message):
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        plan.load(str(config))
    assert str(config) in str(caught.value)


def test_a_sweep_that_is_not_a_python_file(tmp_path):
    (tmp_path / "question.txt").write_text("")
    with pytest.raises(InputError, match="is not a Python file"):
        plan.load(str(tmp_path / "question.txt"))
    with pytest.raises(InputError, match="there is no such file"):
        plan.load(str(tmp_path / "other.py"))


def test_a_shipped_sweep_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(plan.load("seeds.py")) == 5
    assert len(plan.load("seeds.py:brixia")) == 5
    with pytest.raises(InputError, match="ablations/seeds.py: there is no such file"):
        plan.load("ablations/seeds.py")
    # A file of one's own comes first.
    (tmp_path / "seeds.py").write_text("def get_config(arg=None): ...")
    with pytest.raises(InputError, match="does not define sweep"):
        plan.load("seeds.py")


@pytest.mark.parametrize(
    "body, message",
    [
        (
            "    add({'seed': 1})\n    raise ValueError('boom')\n",
            "line 5: ValueError: boom",
        ),
        ("    add(3)\n", "adds 3"),
        ("    add({3: 1})\n", "adds {3: 1}"),
        ("    add({'nokey': 1})\n", "sets nokey=1"),
    ],
)
def test_a_sweep_that_fails_is_named_with_its_line(tmp_path, body, message):
    path = tmp_path / "sweep.py"
    path.write_text(
        "from cxr_jax.configs import quickstart\n"
        "get_config = quickstart.get_config\n"
        "def sweep(add):\n" + body
    )
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        plan.load(str(path))
    assert str(path) in str(caught.value) and len(str(caught.value)) < 500


def test_a_config_that_is_none_is_named(tmp_path):
    path = tmp_path / "sweep.py"
    path.write_text("get_config = lambda arg: 3\ndef sweep(add): add({})\n")
    with pytest.raises(InputError, match=r"get_config\(\) returns a int"):
        plan.load(str(path))


def test_an_override_without_such_a_key_says_so(config):
    with pytest.raises(InputError, match="the config has no key 'sede'"):
        plan.load(str(config), ["--config.sede=5"])


def test_names_of_folders_are_no_longer_than_a_file_system_takes():
    names = [plan.name({"task.loss": "x" * n}) for n in (10, 300, 301)]
    assert names[0] == "loss=" + "x" * 10
    assert len(set(names)) == 3 and all(len(name) < 255 for name in names)
