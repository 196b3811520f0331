"""Settings of JAX that a command cannot work with end it with one message."""

import os
import subprocess
import sys

import pytest

CODE = "from cxr_jax.devices import settings; settings.apply(); settings.check_device()"


@pytest.mark.parametrize(
    "name, value",
    [
        ("JAX_ENABLE_X64", "1"),
        ("JAX_NUMPY_DTYPE_PROMOTION", "strict"),
        ("JAX_TRANSFER_GUARD", "disallow"),
        ("JAX_PLATFORMS", "cuda"),
        ("JAX_PLATFORMS", "nothing"),
    ],
)
def test_it_is_named(name, value, tmp_path):
    if name == "JAX_PLATFORMS" and value == "cuda":
        jax = pytest.importorskip("jax")
        if jax.default_backend() != "cpu":
            pytest.skip("there is a GPU")
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-2:]
    assert f"InputError: {name}" in last[0] and value in done.stderr.replace(
        "True", "1"
    )
