"""Apply a function to many items at once, results in order, in bounded memory."""

import collections
import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import cv2


class Workers:
    """Threads of this process, or `processes` of their own.

    Threads are enough for small pictures: OpenCV, zlib and file reads release the
    interpreter's lock. Parsing a DICOM does not, so large releases want processes.
    What comes out does not depend on it.
    """

    def __init__(self, processes: int = 0):
        self.processes = processes
        self._count = processes or os.cpu_count() or 1
        self._pool: Executor | None = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._close()

    def in_order(
        self, function: Callable, items: Iterable, crashed: Callable
    ) -> Iterator:
        """function(item) for each item, in order, computed ahead.

        Only a few results wait at a time, so that a release of any size streams
        through.

        Args:
          function: where there are processes, picklable, as are items and results.
          crashed: crashed(item) is the result where a process died of the item, as
            from a fault in a decoder.
        """
        waiting: collections.deque = collections.deque()
        try:
            for item in items:
                waiting.append((item, self._submit(function, item)))
                if len(waiting) > 2 * self._count:
                    yield self._result(function, crashed, waiting)
            while waiting:
                yield self._result(function, crashed, waiting)
        finally:
            for _, future in waiting:
                future.cancel()

    def _submit(self, function, item):
        if self._pool is None:
            self._pool = self._open(self._count)
        try:
            return self._pool.submit(function, item)
        except BrokenProcessPool:
            self._close()
            return self._submit(function, item)

    def _result(self, function, crashed, waiting):
        item, future = waiting.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            # All that was in flight is lost with the pool; which of it is to blame
            # shows only when each is tried alone.
            self._close()
        with self._open(1) as alone:
            try:
                return alone.submit(function, item).result()
            except BrokenProcessPool:
                return crashed(item)

    def _open(self, count) -> Executor:
        if not self.processes:
            return ThreadPoolExecutor(count)
        # A fork would copy the locks of the record writer's threads.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(count, context, initializer=_in_worker)

    def _close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _in_worker() -> None:
    """One core for each process; none outlives the one that it works for."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()

    def follow():
        with contextlib.suppress(OSError):
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
