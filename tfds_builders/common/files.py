"""Files that are written whole or not at all, and how to read them back."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pathlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tfds_builders.common.errors import InputError


def write_text(path: pathlib.Path, text: str) -> None:
    """`write_bytes` of UTF-8 text; line ends stay as they are."""
    write_bytes(path, text.encode())


def write_bytes(path: pathlib.Path, data: bytes) -> None:
    """Writes to a temporary name beside `path`, then renames it.

    The name differs in every call, so that two processes that write one file at the
    same time do not write into each other's: the last to end wins.

    Raises:
      InputError: the disk is full or the folder cannot be written; the former
        content of `path` is untouched.
    """
    # Not made of the name, which may have the greatest length there is.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def sync_folder(path: pathlib.Path) -> None:
    """Waits until the names in a folder are on the disk too.

    After a rename a power failure may still bring back the state before it.

    Raises:
      OSError: as of `os.fsync`.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_text(
    path: pathlib.Path, *, missing: str, damaged: str, kind: str = "UTF-8 text"
) -> str:
    """A text file that this project wrote; no pipe or device, which would not end.

    Args:
      path: of the file.
      missing, damaged: what to do if it does not exist, or is not UTF-8.
      kind: what it should have been, for the message.

    Raises:
      InputError: it does not exist, or cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "a pipe or a device"
            raise InputError(path, f"cannot be read: it is {what}", damaged)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(path, "there is no such file", missing) from None
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}", damaged) from None
    except ValueError as error:
        raise InputError(path, f"is not {kind} ({error})", damaged) from None


def read_json(
    path: pathlib.Path,
    *,
    missing: str,
    damaged: str = "restore it, or start a new workdir",
) -> dict[str, Any]:
    """A JSON object that this project wrote.

    Args:
      path: of the file.
      missing, damaged: what to do if it does not exist, or is not a JSON object.

    Raises:
      InputError: it does not exist, or cannot be read.
    """
    text = read_text(path, missing=missing, damaged=damaged, kind="valid JSON")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"is not valid JSON ({error})", damaged) from None
    if not isinstance(content, dict):
        found = type(content).__name__
        raise InputError(path, f"holds a {found}, not an object", damaged)
    return content


@contextmanager
def explained(path: pathlib.Path) -> Iterator[None]:
    """Turns an OSError while writing `path` into a message a user can act on."""
    try:
        yield
    except OSError as error:
        raise InputError(
            path,
            f"cannot be written: {error.strerror or error}",
            f"{make_room(path, error.errno)}, or choose another folder. What was saved "
            "before is untouched",
        ) from error


def sha256(path: pathlib.Path) -> str:
    """Of a whole file, read in parts; 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_room(path: pathlib.Path, code: int | None) -> str:
    """What to do about a system error while writing, as an advice without an end.

    Args:
      path: of the file, which may not exist.
      code: errno of the error.
    """
    if code == errno.ENAMETOOLONG:
        return "Shorten its name"
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Get permission to write there"
    if code in (errno.EEXIST, errno.ENOTDIR, errno.ENOTEMPTY):
        return "Something else has its name, or that of one of its folders: rename it"
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    free = f"{_size(status.f_bavail * status.f_frsize)} are free there"
    # Some file systems do not count their inodes: they have none at all.
    if code == errno.ENOSPC and status.f_files and not status.f_favail:
        return (
            f"{free}, but no inodes: the file system holds as many files as it can. "
            "Remove some, of any size"
        )
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{free}: free some space"
    return f"{free}: free some space or get permission"


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.1f} MB"
