"""A process that is asked for one measurement at a time, and may crash or hang."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pathlib
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any


class Lost(Exception):
    """No answer came: the message says why, in a few words."""


class Child:
    """Runs `answers(*arguments)`, an iterator, in a process of its own.

    It is idle between two answers, so that others can be timed meanwhile. What it
    prints goes to the end of a file.

    Args:
      answers: a function of a module; its first answer is computed at once.
      arguments: for it; they can be pickled.
      log: of all that is printed.
    """

    def __init__(
        self,
        answers: Callable[..., Iterator[Any]],
        arguments: tuple[Any, ...],
        log: pathlib.Path,
    ):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, answers, arguments, log)
        )
        self._process.start()
        theirs.close()
        self._asked = True

    def answer(self, deadline: float) -> Any:
        """The next answer.

        Args:
          deadline: by time.monotonic.

        Raises:
          Lost: the process ended, failed, or had no answer in time; it is gone.
        """
        try:
            if not self._asked:
                self._pipe.send(None)
            self._asked = False
            if not self._pipe.poll(max(deadline - time.monotonic(), 0)):
                raise Lost("no answer in the time it was given")
            good, value = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join(5)
            self.close()
            code = self._process.exitcode
            raise Lost(f"its process ended (exit code {code})") from None
        except Lost:
            self.close()
            raise
        if not good:
            self.close()
            raise Lost(value)
        return value

    def close(self) -> None:
        """Ends the process, whatever it is doing, and those that it started."""
        self._pipe.close()
        for end in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid or 0, end)
            self._process.join(2)


def _serve(pipe, answers, arguments, log: pathlib.Path) -> None:
    os.setsid()  # a group of its own, with all that it starts
    with log.open("ab", buffering=0) as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    try:
        for value in answers(*arguments):
            pipe.send((True, value))
            pipe.recv()
        pipe.send((False, "it has no more answers"))
    except (EOFError, BrokenPipeError):
        return  # nobody asks any more
    except ModuleNotFoundError as error:
        pipe.send((False, f"{error.name} is not installed"))
    except Exception as error:  # noqa: BLE001, of any framework
        traceback.print_exc()
        line = (str(error).strip().splitlines() or [""])[0]
        pipe.send((False, f"{type(error).__name__}: {line[:200]}"))
