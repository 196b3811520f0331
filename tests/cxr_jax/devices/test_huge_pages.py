"""In a process of its own, which is started anew."""

import os
import subprocess
import sys

import pytest

from cxr_jax.devices import huge_pages

CODE = """
import os, sys
from cxr_jax.devices import huge_pages
print(os.getpid(), os.environ.get("GLIBC_TUNABLES"), flush=True)
huge_pages.use()
print("goes on", sys.argv[1:], flush=True)
"""


def run(**environment: str) -> list[str]:
    theirs = {k: v for k, v in os.environ.items() if k != huge_pages.NAME}
    done = subprocess.run(
        [sys.executable, "-c", CODE, "an argument", "--flag=a b"],
        env={**theirs, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_process_begins_anew_once_with_the_same_number_and_arguments():
    first, *others = run(JAX_PLATFORMS="cpu")
    if len(others) == 1:
        pytest.skip("the C library is not glibc")
    number, value = first.split()
    assert value == "None"
    arguments = ["an argument", "--flag=a b"]
    assert others == [f"{number} {huge_pages.VALUE}", f"goes on {arguments}"]


@pytest.mark.parametrize(
    "environment",
    [
        {"JAX_PLATFORMS": "cuda"},
        {"JAX_PLATFORMS": "cpu", "GLIBC_TUNABLES": ""},
        {"JAX_PLATFORMS": "cpu", "GLIBC_TUNABLES": "glibc.malloc.check=0"},
    ],
)
def test_it_is_left_alone(environment):
    first, *others = run(**environment)
    assert len(others) == 1 and "hugetlb" not in first
