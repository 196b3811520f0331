"""The programs of docs/datasets.md and docs/api.md, run as a reader would run them."""

import importlib.util
import os
import re
import runpy
import subprocess
import sys

import pytest
from places import REPOSITORY

import cxr_jax
from tfds_builders.phantom import write_release


def programs(page):
    text = (REPOSITORY / "docs" / page).read_text()
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("needs", ["grain", "torch", "tensorflow"])
def test_program(needs, covidgr_data, tmp_path):
    (program,) = (
        p
        for p in programs("datasets.md")
        if f"import {needs}\n" in p or f"import {needs} as" in p
    )
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    path = tmp_path / "program.py"
    path.write_text(program.replace("covidgr/512", "covidgr/256"))
    done = subprocess.run(
        [sys.executable, path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TFDS_DATA_DIR": str(covidgr_data)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    shape = {"torch": "[8, 1, 256, 256]"}.get(needs, "(8, 256, 256, 1)")
    assert shape in done.stdout


def test_the_api_page(trained, tmp_path, monkeypatch, capsys):
    write_release("brixia", tmp_path / "BrixIA", 40, size=64)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "brixia").symlink_to(trained)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text("\n".join(programs("api.md")))
    names = runpy.run_path("program.py")
    predictions, model = names["predictions"], names["model"]
    assert predictions["expected"].shape == (len(names["films"]), 6)
    assert model.task == "brixia" and model.classes == ()
    shown = capsys.readouterr().out.splitlines()
    first = [line.split(" ")[0] for line in shown[:4]]
    assert first == ["film.png", "Zone", "Quadratic", "Pearson"]
    assert names["found"]["auroc"].value > 0.9


def test_every_name_on_the_api_page_exists():
    text = (REPOSITORY / "docs" / "api.md").read_text()
    table = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`([A-Za-z_]+)(?:\([a-z_, ]*\))?`", table.replace("|", "")))
    assert set(cxr_jax.__all__) - {"Model"} <= named
