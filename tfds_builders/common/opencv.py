"""Decoding by OpenCV, and what its decoders say while they do it."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np

_ONE_AT_A_TIME = threading.Lock()


def decode(
    data: bytes, is_own: Callable[[bytes], bool]
) -> tuple[np.ndarray | None, list[bytes]]:
    """(picture as it is stored, or None; lines that the decoder wrote) of a file.

    Decoders complain on the terminal alone, which OpenCV leaves as it is. So their words
    are caught on their way there. One decoder at a time, as the terminal is one for all
    threads; what others write is handed on.

    Args:
      is_own: whether a line is the decoder's.
    """
    with _ONE_AT_A_TIME, tempfile.TemporaryFile() as heard:
        with _written_to(heard):
            picture = imdecode(data)
        heard.seek(0)
        lines = heard.read().splitlines(keepends=True)
    own = [line for line in lines if is_own(line)]
    others = b"".join(line for line in lines if line not in own)
    if others:
        with contextlib.suppress(OSError):
            os.write(2, others)
    return picture, own


def imdecode(data: bytes) -> np.ndarray | None:
    """The picture as it is stored, or None where OpenCV has none."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


@contextlib.contextmanager
def _written_to(file) -> Iterator[None]:
    """What the process writes on standard error goes to a file."""
    try:
        before = os.dup(2)
    except OSError:  # it has none
        before = None
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        if before is None:
            os.close(2)
        else:
            os.dup2(before, 2)
            os.close(before)
