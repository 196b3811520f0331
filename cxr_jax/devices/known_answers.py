"""Checks that this compiler computes what numpy computes.

Releases of XLA have silently computed wrong sums, or crashed: jaxlib 0.10.2 on the
CPU (jax-ml/jax issues 39103, 39257, 40412). So small programs of the kinds that
training uses are compiled and compared with numpy, once for each compiler, device and
set of flags. They run in a process of their own, because they may crash.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tfds_builders.common import files, places
from tfds_builders.common.errors import InputError

# Largest error relative to the largest value. float32 sums differ by 1e-6, tensor cores
# of a GPU by 1e-3; the faults seen were 8e-3 and more.
TOLERANCE = 3e-3
# Some faults hang instead of crashing. All programs together take a second.
SECONDS = 120
# Environment variables that select another compiler or change what it compiles.
VARIABLES = ("XLA_FLAGS", "JAX_PLATFORMS", "LIBTPU_INIT_ARGS", "JAX_ENABLE_X64")
ADVICE = (
    "install versions that are proven: pip install -c constraints.txt with the "
    "project's constraints.txt, or jax==0.10.1 on Python 3.11 and jax==0.12.0.1 on "
    "3.12 and 3.13. On the CPU, XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type= "
    "(empty) avoids the known fault of jaxlib 0.10.2"
)

_NHWC = ("NHWC", "HWIO", "NHWC")


class Program(NamedTuple):
    """A function, the same in numpy, and the inputs of both.

    Attributes:
      name: what is computed, in words.
      function: jitted here; arrays -> array.
      reference: the same in float64.
      arrays: float32.
    """

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]


@functools.cache
def require() -> None:
    """Runs the programs, unless this compiler has passed before on this device.

    The record is kept in the compilation cache.

    Raises:
      InputError: a program gave a wrong result, crashed or hung; says which.
    """
    record = _record()
    if record.exists():
        return
    faults = run([sys.executable, "-m", __name__])
    if faults:
        where = f"jaxlib {_version('jaxlib')} (jax {_version('jax')}) on {_device()}"
        raise InputError(where, "; ".join(faults), ADVICE)
    files.write_text(record, json.dumps(identity(), indent=2) + "\n")


def run(command: list[str], seconds: float = SECONDS) -> list[str]:
    """Runs the programs in another process; -> what went wrong, in words.

    Args:
      command: prints a line of JSON before each program, and one with its error after.
      seconds: time limit for all programs.
    """
    # The parent may hold most of an accelerator's memory.
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    # A program may have found the package by changing sys.path itself.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    ended = ""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=environment,
        )
        output = done.stdout
        if done.returncode < 0:
            ended = f"crashed with {signal.Signals(-done.returncode).name}"
        elif done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            ended = f"failed with '{last[0][:200]}'"
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode()
        ended = f"did not finish within {seconds:g} s"
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    faults = [
        f"computes a wrong {line['name']} (off by {line['error']:.2%})"
        for line in lines
        if "error" in line and not line["error"] <= TOLERANCE
    ]
    if ended:
        faults.append(f"{ended} in the {lines[-1]['name'] if lines else 'start'}")
    return faults


def programs() -> list[Program]:
    """Programs of the kinds that training consists of, in the order they are run.

    The integers are small, so that their sums are exact in every format.
    """
    draw = np.random.default_rng(0)

    def whole(*shape):
        return draw.integers(-4, 5, shape).astype(np.float32)

    def real(*shape):
        return draw.normal(1, 2, shape).astype(np.float32)

    x, kernel, dy = whole(4, 9, 11, 8), whole(3, 3, 8, 16), whole(4, 5, 6, 16)
    features, logits = real(33, 15, 17, 24), real(32, 6, 4)
    rows = np.zeros((32769, 3), np.float32)
    rows[:, 0] = np.arange(len(rows)) % 61
    return [
        Program("convolution", _convolve, _numpy_convolve, (x, kernel)),
        Program("convolution's image gradient", _to_picture, _numpy_to_picture,
                (kernel, dy)),
        Program("convolution's kernel gradient", _to_kernel, _numpy_to_kernel, (x, dy)),
        Program("depthwise convolution", _depthwise, _numpy_depthwise, (x, kernel[..., 0])),
        Program("batch norm's sums", batch_norm_sums(jnp), batch_norm_sums(np), (features,)),
        Program("matrix-vector product summed by rows",
                jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2)),
                lambda rows: (rows**2).sum(1), (rows,)),
        Program("reduction over seven axes", lambda a, b: jnp.sum(a * b, axis=3),
                lambda a, b: (a * b).sum(axis=3),
                (whole(3, 1, 2, 2, 8, 8, 8), whole(3, 1, 2, 2, 8, 8, 8))),
        Program("gradient of a softmax loss", jax.grad(_softmax_loss),
                _numpy_softmax_gradient, (logits,)),
        Program("scan", _scanned, lambda m: m.cumsum(0)[-1] + m[-1], (whole(9, 5, 7),)),
    ]  # fmt: skip


def batch_norm_sums(np_):
    """Batch norm's sums, forward and backward: mean, mean square, sum of a product."""

    def sums(x):
        axes = (0, 1, 2)
        mean, square = np_.mean(x, axes), np_.mean(x * x, axes)
        scale = np_.broadcast_to(np_.sqrt(square - mean**2 + 1e-5), x.shape)
        centred = (x - np_.broadcast_to(mean, x.shape)) / scale
        return np_.stack([mean, square, np_.mean(centred * x, axes)])

    return sums


def error(program: Program) -> float:
    """The largest difference from numpy, relative to numpy's largest value."""
    found = np.asarray(jax.jit(program.function)(*program.arrays), np.float64)
    right = program.reference(*(array.astype(np.float64) for array in program.arrays))
    if found.shape != right.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - right).max() / np.abs(right).max())


def _convolve(x, kernel):
    return lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=_NHWC)


def _to_picture(kernel, dy):
    # The gradient as this project computes it on the CPU: a convolution of dy.
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return lax.conv_general_dilated(
        dy,
        turned,
        (1, 1),
        ((1, 1), (1, 1)),
        lhs_dilation=(2, 2),
        dimension_numbers=_NHWC,
    )


def _to_kernel(x, dy):
    pads = ((1, 1), (1, 1))
    total = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        dy.transpose(1, 2, 0, 3),
        (1, 1),
        pads,
        rhs_dilation=(2, 2),
        dimension_numbers=_NHWC,
    )
    return total.transpose(1, 2, 0, 3)


def _depthwise(x, kernel):
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        (1, 1),
        "VALID",
        dimension_numbers=_NHWC,
        feature_group_count=x.shape[-1],
    )


def _numpy_convolve(x, kernel):
    found = np.zeros((len(x), 5, 6, kernel.shape[-1]))
    for i, j, window in _windows(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))):
        found += window @ kernel[i, j]
    return found


def _numpy_to_picture(kernel, dy):
    found = np.zeros((len(dy), 11, 13, kernel.shape[2]))
    for i, j, window in _windows(found):
        window += dy @ kernel[i, j].T
    return found[:, 1:-1, 1:-1]


def _numpy_to_kernel(x, dy):
    found = np.zeros((3, 3, x.shape[-1], dy.shape[-1]))
    for i, j, window in _windows(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))):
        found[i, j] = np.einsum("bhwc,bhwo->co", window, dy)
    return found


def _windows(padded):
    """(i, j, pixel (i, j) of every second 3 x 3 window, a view) of [B, 11, 13, C]."""
    for i in range(3):
        for j in range(3):
            yield i, j, padded[:, i : i + 9 : 2, j : j + 11 : 2]


def _numpy_depthwise(x, kernel):
    height, width = x.shape[1] - 2, x.shape[2] - 2
    return sum(
        x[:, i : i + height, j : j + width] * kernel[i, j]
        for i in range(3)
        for j in range(3)
    )


def _softmax_loss(logits):
    return -jnp.mean(jax.nn.log_softmax(logits)[..., 0])


def _numpy_softmax_gradient(logits):
    probs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    probs[..., 0] -= 1
    return probs / probs[..., 0].size


def _scanned(matrices):
    total, _ = lax.scan(lambda total, m: (total + m, None), matrices[-1], matrices)
    return total


def identity() -> dict[str, str]:
    """Compiler, device and flags, and the programs that were run."""
    packages = ("jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin")
    versions = {name: _version(name) for name in packages}
    variables = {name: os.environ.get(name, "") for name in VARIABLES}
    source = pathlib.Path(__file__).read_bytes()
    return {
        **versions,
        **variables,
        "device": _device(),
        "processor": _processor(),
        "programs": hashlib.sha256(source).hexdigest(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _device() -> str:
    device = jax.local_devices()[0]
    return f"{device.platform} {device.device_kind}"


def _processor() -> str:
    """The CPU that XLA compiles for: different machines may share a home folder."""
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else f"{platform.machine()} {platform.processor()}"


def _record() -> pathlib.Path:
    key = hashlib.sha256(json.dumps(identity()).encode()).hexdigest()[:16]
    given = jax.config.jax_compilation_cache_dir
    folder = places.expanded(given) if given else places.cache_dir() / "compiled"
    return folder / f"known_answers_{key}.json"


if __name__ == "__main__":
    for each in programs():
        print(json.dumps({"name": each.name}), flush=True)
        print(json.dumps({"name": each.name, "error": error(each)}), flush=True)
