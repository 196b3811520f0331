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
    """Hold the lock of a file, which is made if it is missing.

    Where the file system has no locks, goes on without one after a warning.

    Args:
      busy: called if another process holds it, before waiting for that; may raise.

    Errors: OSError if the file cannot be opened.
    """
    with open(path, "w") as file:
        if fcntl is not None:
            try:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    busy()
                    fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                print(
                    f"WARNING: {path.parent}: the file system has no locks "
                    f"({error.strerror}). Let no second process write there.",
                    file=sys.stderr,
                )
        yield
