"""The programs of docs/datasets.md, run as a reader would: copied into a file."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from places import REPOSITORY

PROGRAMS = re.findall(
    r"```python\n(.*?)```", (REPOSITORY / "docs" / "datasets.md").read_text(), re.DOTALL
)


@pytest.mark.parametrize("needs", ["grain", "torch", "tensorflow"])
def test_program(needs, covidgr_data, tmp_path):
    (program,) = (
        p for p in PROGRAMS if f"import {needs}\n" in p or f"import {needs} as" in p
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
