"""Readers that may crash or run away, each file in a process of its own.

libhdf5 and PyTorch are written in C: some damaged files end the process that reads
them. The child answers with a line of JSON and the bytes of the arrays.
"""

from __future__ import annotations

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile

import numpy as np

from cxr_jax.weights import keras, pytorch
from cxr_jax.weights.claims import Contents, bytes_of
from tfds_builders.common.errors import InputError

# Of processor time: damage can lead libhdf5 in a circle.
_SECONDS, _SECONDS_PER_GIB = 60, 60
READERS = {"h5": keras.read_h5, "keras": keras.read_keras, "torch": pytorch.read}


def read(reader: str, path: pathlib.Path) -> Contents:
    """What READERS[reader] returns for the file.

    Raises:
      InputError: that of the reader, or that it crashed.
    """
    command = [sys.executable, "-m", "cxr_jax.weights.subreader", reader, str(path)]
    places = [place or os.getcwd() for place in sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        ) as process:
            assert process.stdout  # a pipe
            try:
                contents = _received(process.stdout)
            except (ValueError, EOFError):
                contents = None
                process.stdout.close()
        if contents is None:
            errors.seek(0)
            raise _crashed(path, process.returncode, errors.read())
    return contents


def _received(stream) -> Contents:
    answer = json.loads(stream.readline())
    if "error" in answer:
        raise InputError(*answer["error"])
    arrays = {}
    for name, kind, shape in answer["arrays"]:
        dtype = np.dtype(kind)
        length = bytes_of(shape, dtype.itemsize)
        data = stream.read(length)
        if len(data) < length:
            raise EOFError
        arrays[name] = np.frombuffer(data, dtype).reshape(shape)
    return Contents(arrays, tuple(answer["inside"]), tuple(answer["beside"]))


def _crashed(path: pathlib.Path, code: int, errors: bytes) -> InputError:
    said = errors.decode(errors="replace").strip().splitlines()
    reason = f"it ended with status {code}"
    if code == -signal.SIGXCPU:
        seconds = _seconds(path)
        return InputError(
            path,
            f"is damaged: reading it did not end within {seconds} s of processor time",
            "download it again, or save it again where it was made",
        )
    if code < 0:
        reason = signal.Signals(-code).name
    elif said:
        reason = said[-1][:200]
    return InputError(
        path,
        f"is damaged: the program that read it crashed ({reason})",
        "download it again, or save it again where it was made",
    )


def _seconds(path: pathlib.Path) -> int:
    size = path.stat().st_size if path.exists() else 0
    return _SECONDS + _SECONDS_PER_GIB * size // 2**30


def main(reader: str, path: pathlib.Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = min(x for x in (_seconds(path), soft, hard) if x != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no part of the answer

    def send(**values) -> None:
        answer.write(json.dumps(values).encode() + b"\n")

    try:
        found = READERS[reader](path)
    except InputError as error:
        send(error=(error.where, error.found, error.hint))
    # A damaged file makes them raise almost anything.
    except Exception as error:  # noqa: BLE001
        reason = " ".join(str(error).split())[:200]
        send(
            error=(
                str(path),
                f"is damaged ({type(error).__name__}: {reason})",
                "download it again, or save it again where it was made",
            )
        )
    else:
        arrays = found.arrays
        heads = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
        send(arrays=heads, inside=found.inside, beside=found.beside)
        for array in arrays.values():
            answer.write(array.tobytes())
    answer.close()


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
