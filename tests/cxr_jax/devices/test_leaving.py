"""A command ends at once, but not before what waits for its end."""

import subprocess
import sys

import pytest

_CODE = """
import atexit, sys, threading, time
from cxr_jax.devices import leaving

class Said:
    def __del__(self):
        print("taken apart")

said = Said()
with leaving.quickly():
    atexit.register(print, "at the end")
    threading.Thread(target=lambda: (time.sleep(0.05), print("thread"))).start()
    {end}
"""


@pytest.mark.parametrize("end", ["sys.exit()", "sys.exit(3)"])
def test_threads_and_libraries_end_and_modules_are_left(end):
    done = ended(end)
    assert done.returncode == (3 if "3" in end else 0)
    assert done.stdout.split("\n") == ["thread", "at the end", ""]


@pytest.mark.parametrize("end", ["sys.exit('why')", "raise ValueError('why')"])
def test_an_error_ends_as_ever(end):
    done = ended(end)
    assert done.returncode == 1 and done.stderr.strip().endswith("why")
    assert done.stdout.split("\n") == ["thread", "at the end", "taken apart", ""]


def ended(end):
    code = _CODE.format(end=end)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=False, capture_output=True, text=True)
