"""Read the next files while this one is being stored."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor


def in_order(function: Callable, items: Iterable) -> Iterator:
    """function(item) for each item, in order, computed ahead in threads.

    OpenCV, NumPy, zlib and file reads release the GIL. Only a few results wait at a
    time, so that a release of any size streams through.
    """
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: collections.deque = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
