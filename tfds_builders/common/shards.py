"""Cut a stream of examples into files.

TFDS's usual builder shuffles a split in memory up to 1 GB and beyond that through
TensorFlow's file layer; a full BrixIA release is larger. Its ShardBasedBuilder writes
file by file in the given order, so the builders here use that one.
"""

from collections.abc import Callable, Iterator
from itertools import islice, pairwise

_IMAGES_PER_FILE = 512


def shards(
    examples: Iterator, count: int, largest: int = _IMAGES_PER_FILE
) -> list[Callable[[], Iterator]]:
    """One function per file, to be called once and in order, each giving a run.

    Args:
      examples: `count` examples, taken as they are needed.
      largest: most examples in one file; the files are of equal length but for one.
    """
    files = -(-count // largest)
    ends = [count * i // files for i in range(files + 1)]
    return [lambda n=end - start: islice(examples, n) for start, end in pairwise(ends)]
