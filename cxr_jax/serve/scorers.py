"""The processes that score, seen from the node: one film each at a time."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from cxr_jax.serve.journal import FAILED, REFUSED, SCORED, FilmRow, Journal, Made
from cxr_jax.serve.node_log import note
from cxr_jax.serve.options import Options
from cxr_jax.serve.scoring_process import Work
from cxr_jax.serve.spool import Spool
from cxr_jax.serve.tally import Tally
from tfds_builders.common.errors import InputError

_MOST_CRASHES = 2  # of one film, which fails then
_START = 300.0  # seconds until a process has opened the bundle
_PAUSE = 5.0  # seconds until what did not work is tried again


class Process:
    """A process that scores.

    Raises:
      InputError: the bundle cannot be opened, or it does not start.
    """

    def __init__(self, work: Work):
        own, other = multiprocessing.Pipe()
        descriptor = other.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.scoring_process", str(descriptor)],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # a decoder may quote a header
        )
        other.close()
        self._connection = own
        answer = self._ask(dict(work._asdict()), _START)
        if answer is None:
            code = self.end()
            raise InputError(
                "the process that scores",
                f"does not start (exit code {code})",
                "free some memory; or try the bundle with --mode=predict",
            )
        if "fault" in answer:
            self.end()
            raise InputError(*answer["fault"])

    def score(self, film: dict[str, str], seconds: float) -> dict[str, Any] | None:
        """The answer of `scoring_process`; None where it crashed or took too long."""
        return self._ask(film, seconds)

    def end(self) -> int:
        """Ends it; returns its exit code, negative for a signal."""
        self._connection.close()
        if self._process.poll() is None:
            self._process.kill()
        return self._process.wait()

    def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        try:
            self._connection.send_bytes(json.dumps(message).encode())
            if not self._connection.poll(seconds):
                return None
            return json.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            return None


class Scorers:
    """Takes films from the journal until it is closed.

    Args:
      options: of the node.
      spool, journal: of the node.
      tally: counts.
      name: makes a pseudonym of an instance.
      made: is called when there are results to be sent.

    Raises:
      InputError: as of `Process`.
    """

    def __init__(
        self,
        options: Options,
        spool: Spool,
        journal: Journal,
        tally: Tally,
        name: Callable[[str], str],
        made: Callable[[], None],
    ):
        self._options, self._spool, self._journal = options, spool, journal
        self._tally, self._name, self._made = tally, name, made
        self._threads = max(1, (os.cpu_count() or 1) // options.workers)
        self._condition = threading.Condition()
        self._busy: set[int] = set()
        self._is_closed = False
        self._ready = options.workers
        first = [self._start() for _ in range(options.workers)]
        self._runners = [
            threading.Thread(target=self._run, args=(process,), daemon=True)
            for process in first
        ]
        for each in self._runners:
            each.start()

    @property
    def ready(self) -> int:
        """How many processes can score."""
        return self._ready

    @property
    def is_alive(self) -> bool:
        """Whether every film that comes will be taken up."""
        return all(each.is_alive() for each in self._runners)

    def came(self) -> None:
        """There may be new films in the journal."""
        with self._condition:
            self._condition.notify_all()

    def close(self, seconds: float) -> None:
        """Lets each process end its film, and no more."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
        until = time.monotonic() + seconds
        for each in self._runners:
            each.join(max(0.0, until - time.monotonic()))

    def _start(self) -> Process:
        options = self._options
        return Process(
            Work(
                bundle=str(options.bundle),
                spool=str(self._spool.path),
                kinds=list(options.kinds),
                gate=options.gate,
                threads=self._threads,
            )
        )

    def _next(self) -> FilmRow | None:
        with self._condition:
            while not self._is_closed:
                for row in self._journal.received(len(self._busy) + 1):
                    if row.id not in self._busy:
                        self._busy.add(row.id)
                        return row
                self._condition.wait()
        return None

    def _run(self, process: Process) -> None:
        while (row := self._next()) is not None:
            try:
                process = self._score(row, process)
            except sqlite3.Error as error:  # the film is scored again
                self._later(row, f"the journal cannot be written: {error}")
            with self._condition:
                self._busy.discard(row.id)
        process.end()

    def _score(self, row: FilmRow, process: Process) -> Process:
        """Scores a film; returns the process that serves the next one."""
        began = time.monotonic()
        answer = process.score(self._told(row), self._options.film_seconds)
        seconds = time.monotonic() - began
        if answer is not None:
            self._finish(row, answer, seconds)
            return process
        code = process.end()
        is_late = seconds >= self._options.film_seconds
        why = "too slow" if is_late else f"exit code {code}"
        note("scorer ended", film=self._name(row.sop), why=why)
        self._tally.add("scorer_ended", "slow" if is_late else "crash")
        process = self._started_again()
        if self._journal.crashed(row.id) >= _MOST_CRASHES:
            crash = f"the process that scored it ended: {why}"
            self._finish(row, {"crash": crash}, seconds)
        return process

    def _told(self, row: FilmRow) -> dict[str, str]:
        spool = self._spool
        paths = spool.film(row), spool.results_of(row.digest)
        file, results = (path.relative_to(spool.path).as_posix() for path in paths)
        return {"file": file, "sop": row.sop, "results": results}

    def _started_again(self) -> Process:
        self._ready -= 1
        while True:
            try:
                process = self._start()
            except InputError as error:
                note("scorer does not start", why=error.found)
                time.sleep(_PAUSE)
                continue
            self._ready += 1
            return process

    def _later(self, row: FilmRow, why: str) -> None:
        note("not scored yet", film=self._name(row.sop), why=why)
        with self._condition:
            if not self._is_closed:
                self._condition.wait(_PAUSE)

    def _finish(self, row: FilmRow, answer: dict[str, Any], seconds: float) -> None:
        if "later" in answer:
            self._later(row, answer["later"])
            return
        now = time.time()
        if "made" in answer:
            made = [Made(*each) for each in answer["made"]]
            self._journal.scored(row.id, answer["gate"], made, now)
            state, why = SCORED, answer["gate"]
            self._made()
        else:
            state = REFUSED if "error" in answer else FAILED
            why = answer.get("error") or answer["crash"]
            self._journal.unscored(row.id, state, why, now)
        self._tally.add("films", state)
        note(state, film=self._name(row.sop), why=why, seconds=round(seconds, 3))
