"""Commands as a user types them, many of them for the price of one start."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

# Imports take longer than the rest of most commands, so one process has them and
# gives each command a copy of itself.
_STARTED = """
import gc, json, os, resource, sys
from tfds_builders import build

gc.freeze()  # else a copy touches, so copies, all memory as it ends
for line in sys.stdin:
    asked = json.loads(line)
    process = os.fork()
    if process:
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
        continue
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in ((1, asked["stdout"]), (2, asked["stderr"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.chdir(asked["cwd"])
    os.environ.update(asked["env"])
    if asked["largest_file"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest_file"],) * 2)
    sys.argv = ["build.py", *asked["arguments"]]
    build.run()
    sys.exit()
"""


@pytest.fixture(scope="module")
def started():
    process = subprocess.Popen(
        [sys.executable, "-c", _STARTED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


@pytest.fixture
def build_command(started, tmp_path_factory):
    """build_command(*arguments, cwd, env, largest_file): what the build command does.

    env: on top of this process's; TFDS reads its own when it is imported, too early.
    largest_file: bytes, where the size of files is to be limited.
    """

    def run(*arguments, cwd=None, env=None, largest_file=0):
        folder = tmp_path_factory.mktemp("said")
        streams = {name: str(folder / name) for name in ("stdout", "stderr")}
        asked = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd or os.getcwd()),
            "env": env or {},
            "largest_file": largest_file,
            **streams,
        }
        started.stdin.write(json.dumps(asked) + "\n")
        started.stdin.flush()
        code = int(started.stdout.readline())
        said = [pathlib.Path(path).read_text() for path in streams.values()]
        return subprocess.CompletedProcess(asked["arguments"], code, *said)

    return run
