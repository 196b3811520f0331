"""The disk that a dataset is written to: its lock, leftovers of builds, its errors."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.lock import locked

# Full, over quota, file too large, no permission, read-only, name too long.
_DISK_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
)
# What TFDS itself says before it writes.
_OTHER_WORDS = {errno.ENOSPC: ("Not enough disk space",)}


@contextlib.contextmanager
def alone(builder, quiet: bool) -> Iterator[None]:
    """Hold the lock of this dataset; it is released when the process dies.

    Errors: InputError if its folder cannot be created.
    """
    folder = Path(builder.data_path).parent.parent / ".config"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            builder.data_dir_root,
            f"the folder cannot be created ({error.strerror}: {error.filename})",
            "Choose another --data_dir.",
        ) from error
    name = f"{builder.builder_config.name}-{builder.version}.lock"

    def waiting() -> None:
        if not quiet:
            print("Another process is building this dataset; waiting for it.")

    with locked(folder / name, waiting):
        yield


def remove_leftovers(builder) -> None:
    """Remove what killed builds left; called under the lock, so none is running."""
    target = builder.data_path
    for path in sorted(target.parent.glob(f"incomplete.*_{target.name}")):
        path.rmtree()


@contextlib.contextmanager
def disk_errors(builder) -> Iterator[None]:
    """Turn a disk that cannot be written to into an InputError.

    The record writer raises RuntimeError with the system's message in it.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        where = getattr(error, "filename", None) or builder.data_dir_root
        for code in _DISK_ERRORS:
            told = os.strerror(code), *_OTHER_WORDS.get(code, ())
            if getattr(error, "errno", None) == code or any(
                words in str(error) for words in told
            ):
                raise InputError(
                    where,
                    f"{os.strerror(code)}; nothing of this build was kept",
                    f"{files.make_room(Path(builder.data_dir_root), code)}, or choose "
                    "another --data_dir.",
                ) from error
        raise
