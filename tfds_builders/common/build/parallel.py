"""Apply a function to many items in parallel, results in order, in bounded memory."""

import collections
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from concurrent.futures.process import BrokenProcessPool

import cv2

from tfds_builders.common.errors import InputError


class Workers:
    """Threads of this process, or `processes` of their own.

    Threads are enough for small pictures: OpenCV, zlib and file reads release the
    interpreter's lock. Parsing a DICOM does not, so large releases want processes.
    The results are the same.
    """

    def __init__(self, processes: int = 0):
        self.processes = processes
        self._count = processes or os.cpu_count() or 1
        self._pool: Executor | None = None
        self._alone: Executor | None = None  # one process, for what broke the pool

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pool in (self._pool, self._alone):
            if pool is not None:
                pool.shutdown(cancel_futures=True)
        self._pool = self._alone = None

    def in_order(
        self, function: Callable, items: Iterable, crashed: Callable | None
    ) -> Iterator:
        """function(item) for each item, in order, computed ahead.

        Only a few results wait at a time, so a release of any size fits into memory.

        Args:
          function: picklable if there are processes, as are items and results.
          crashed: crashed(item) is the result if the item crashed its process, e.g.
            by a bug in a decoder; None where there are no processes.

        Errors: InputError if no process can be started.
        """
        waiting: collections.deque = collections.deque()
        try:
            for item in items:
                waiting.append((item, *self._submit(function, item)))
                if len(waiting) > 2 * self._count:
                    yield self._result(function, crashed, *waiting.popleft())
            while waiting:
                yield self._result(function, crashed, *waiting.popleft())
        finally:
            for _, _, future in waiting:
                future.cancel()

    def _submit(self, function, item) -> tuple[Executor, Future]:
        if self._pool is None:
            self._pool = self._open(self._count)
        pool = self._pool
        try:
            with _interrupts_blocked():
                return pool, pool.submit(function, item)
        except BrokenProcessPool:
            self._discard(pool)
            return self._submit(function, item)

    def _result(self, function, crashed, item, pool, future):
        try:
            return future.result()
        except BrokenProcessPool:
            # Everything in flight is lost with the pool; trying each item alone shows
            # which of them is to blame.
            self._discard(pool)
        if self._alone is None:
            self._alone = self._open(1)
            self._prove(self._alone)
        try:
            return self._alone.submit(function, item).result()
        except BrokenProcessPool:
            self._alone.shutdown()
            self._alone = None
            return crashed(item)

    def _prove(self, pool) -> None:
        """Check that a process can start at all before a file is blamed."""
        try:
            with _interrupts_blocked():
                started = pool.submit(os.getpid)
            started.result()
        except BrokenProcessPool as error:
            raise InputError(
                "--num_workers",
                "worker processes die at start",
                "Use --num_workers=0, or free some memory. Your own program has to be a "
                "file that builds under: if __name__ == '__main__':",
            ) from error

    def _open(self, count) -> Executor:
        if not self.processes:
            return ThreadPoolExecutor(count)
        # A fork would copy the locks of the record writer's threads.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(count, context, initializer=_in_worker)

    def _discard(self, pool) -> None:
        if pool is self._pool:
            self._pool = None
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupts_blocked():
    """Processes started in this context ignore Ctrl-C; their parent handles it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check_not_in_worker() -> None:
    """Raise InputError in a worker that is importing the program of its parent."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise InputError(
            "the program that builds",
            "each of its worker processes, which import it, builds again",
            "Call build under: if __name__ == '__main__':",
        )


def _in_worker() -> None:
    """One core for each worker, which ends with its parent."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()

    def follow():
        with contextlib.suppress(OSError):
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
