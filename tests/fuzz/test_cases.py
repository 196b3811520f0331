"""A thousand damaged files through the readers."""

import subprocess
import sys

import pytest
from places import REPOSITORY


@pytest.mark.slow
def test_a_thousand_damaged_files():
    command = [sys.executable, "-m", "tests.fuzz", "--n=1000", "--seed=0"]
    done = subprocess.run(
        command, check=False, cwd=REPOSITORY, capture_output=True, text=True
    )
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
