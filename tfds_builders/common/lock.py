"""A lock that one process holds, and that ends with it."""

import contextlib
import errno
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Some network file systems (NFS without its lock daemon, some of FUSE) have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


@contextlib.contextmanager
def locked(path: Path, busy: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is missing; see `take`.

    Errors: OSError if the file cannot be opened.
    """
    with open(path, "w") as file:
        take(file.fileno(), path.parent, busy)
        yield


def take(descriptor: int, folder: Path, busy: Callable[[], None]) -> None:
    """Lock an open file, or folder, until it is closed.

    Where the file system has no locks, there is none, after a warning.

    Args:
      folder: for the warning.
      busy: called if another process holds the lock, before waiting for that; may
        raise.
    """
    if fcntl is None:
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        print(
            f"WARNING: {folder}: the file system has no locks ({error.strerror}). Let "
            "no second process write there.",
            file=sys.stderr,
        )
