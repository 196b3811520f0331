"""Films in zip archives: read into memory one by one, never unpacked to disk."""

import functools
import zipfile
import zlib
from pathlib import Path

from tfds_builders.common import limits
from tfds_builders.common.build.listing import is_leftover
from tfds_builders.common.errors import InputError
from tfds_builders.common.limits import Held

MARK = b"PK\x03\x04"
_AGAIN = "Copy the archive from its source again."
_ENCRYPTED = 0x1
_STEP = 1 << 20


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, by its content."""
    if not path.is_file():  # a pipe would wait for ever
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False


def members(path: Path) -> list[str]:
    """Names of the files in an archive, sorted, without what systems leave in any.

    Errors: InputError for a damaged archive.
    """
    return sorted(
        {
            info.filename
            for info in _opened(path).infolist()
            if not info.is_dir() and not _is_hidden(info.filename)
        }
    )


def _is_hidden(member: str) -> bool:
    parts = member.split("/")
    return any(is_leftover(part) for part in parts if part not in (".", ".."))


def head(path: Path, member: str, size: int) -> bytes:
    """The first bytes of a member; none where it cannot be read."""
    try:
        with _opened(path).open(member) as file:
            return file.read(size)
    except (InputError, OSError, RuntimeError, NotImplementedError, *_DAMAGE):
        return b""


def read(path: Path, member: str) -> Held:
    """The content of a member, under the name 'archive.zip/member'.

    Nothing that it says of its size is believed: reading stops at `limits.most_bytes`.

    Errors: InputError for a damaged, encrypted or too large member.
    """
    name = f"{path}/{member}"
    archive = _opened(path)
    if archive.getinfo(member).flag_bits & _ENCRYPTED:
        raise InputError(name, "encrypted", "Unpack the archive with its password.")
    parts, size = [], 0
    try:
        with archive.open(member) as file:
            while part := file.read(_STEP):
                parts.append(part)
                size += len(part)
                limits.check_bytes(name, size, "a file")
    except (RuntimeError, NotImplementedError, *_DAMAGE) as error:
        raise InputError(name, f"damaged in its archive ({error})", _AGAIN) from None
    return Held(name, b"".join(parts))


_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError)


@functools.lru_cache(maxsize=8)
def _opened(path: Path) -> zipfile.ZipFile:
    """Kept open: the list of a large archive takes a while to read."""
    try:
        return zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise InputError(path, f"a damaged zip archive ({error})", _AGAIN) from None
