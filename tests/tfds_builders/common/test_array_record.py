"""A system without array_record: a message instead of a traceback."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "code",
    [
        "from tfds_builders import build; build.make_builder('brixia')",
        "from cxr_jax.data import builders; builders.open_builder('brixia')",
    ],
)
def test_says_where_it_exists(code):
    program = (
        "import importlib.util, sys\n"
        "sys.modules['array_record'] = None\n"
        "importlib.util.find_spec, former = (\n"
        "    lambda name, *more: None if name == 'array_record' else former(name, *more)\n"
        "), importlib.util.find_spec\n" + code
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "InputError: array_record: is not installed" in done.stderr
    assert "Apple silicon" in done.stderr
