"""A command that has been imported once, and runs many times.

Imports take longer than the rest of most commands, so one process has them and gives
each command a copy of itself.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

_STARTED = """
import gc, importlib, json, os, resource, sys

command, *_ = [importlib.import_module(name) for name in sys.argv[1:]]
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
    sys.argv = [command.__file__, *asked["arguments"]]
    command.run()
    sys.exit()
"""


@contextlib.contextmanager
def started(*modules: str, env: dict[str, str] | None = None):
    """Yields run(*arguments, cwd, env, largest_file) of the first module's `run()`.

    modules: the command's, and others that it imports only when it needs them.
    env: of the process, which the modules see when they are imported; that of a single
    command comes on top, later.
    largest_file: bytes, where the size of files is to be limited.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _STARTED, *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A command that began itself anew, for huge pages, would be this process.
        env={**(env or os.environ), "GLIBC_TUNABLES": ""},
        text=True,
    )

    def run(*arguments, cwd=None, env=None, largest_file=0):
        with tempfile.TemporaryDirectory() as folder:
            streams = {n: str(pathlib.Path(folder, n)) for n in ("stdout", "stderr")}
            asked = {
                "arguments": [str(argument) for argument in arguments],
                "cwd": str(cwd or os.getcwd()),
                "env": env or {},
                "largest_file": largest_file,
                **streams,
            }
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
            said = [pathlib.Path(path).read_text() for path in streams.values()]
        return subprocess.CompletedProcess(asked["arguments"], code, *said)

    with process:
        yield run
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
