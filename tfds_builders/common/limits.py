"""What one file may take: pixels, and bytes to read and to unpack.

A file of a few bytes can claim or unpack to more than any machine has, and a pipe or
a device in a folder never ends. So every reader asks here first; such a file is
refused by name, and the build goes on without it.

CXR_MAX_MEGAPIXELS, or the build's --max_megapixels, raises or lowers the limit, in
workers too, which inherit it.
"""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.errors import InputError

VARIABLE = "CXR_MAX_MEGAPIXELS"
# The largest films are 20 to 30 million pixels (mammography, digitised film).
_MEGAPIXELS = 100.0
# Of a file, and of what it unpacks to: two a pixel, and half as much again for a
# header, a table or a preview.
_BYTES_PER_PIXEL = 3
_SMALLEST = 1 << 25  # bytes, for tables beside tiny pictures
_HINT = (
    f"Leave the file out; or, if it is as large as that, set {VARIABLE} (now {{}}) or "
    "the build's --max_megapixels to the millions of pixels of your largest film."
)


class Held(NamedTuple):
    """The content of a file that was read already, or lies in an archive.

    Readers take it in place of a path, and messages have its name.
    """

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name

    def __fspath__(self) -> str:
        return self.name


def most_pixels() -> int:
    """Pixels of one picture. Errors: InputError where CXR_MAX_MEGAPIXELS is not one."""
    return int(_megapixels() * 1e6)


def most_bytes() -> int:
    """Bytes of one file, as it is and unpacked."""
    return max(_BYTES_PER_PIXEL * most_pixels(), _SMALLEST)


def check_pixels(path, rows: int, columns: int) -> None:
    """Raise InputError for a picture of more pixels than allowed."""
    if rows * columns > most_pixels():
        raise InputError(
            path,
            f"{rows} x {columns} pixels, more than {_megapixels():g} million",
            _HINT.format(f"{_megapixels():g}"),
        )


def check_bytes(path, size: int, what: str) -> None:
    """Raise InputError where a file, or what is in it, is larger than allowed."""
    if size > most_bytes():
        raise InputError(
            path,
            f"{what} of {size / 1e6:,.0f} MB or more, above the limit of "
            f"{most_bytes() / 1e6:,.0f} MB",
            _HINT.format(f"{_megapixels():g}"),
        )


def read_file(path: str | Path | Held) -> bytes:
    """The content of a regular file, or of one that is held.

    Errors: InputError for a folder, pipe or device, or for a file that is too large.
    OSError where it does not exist or may not be read.
    """
    if isinstance(path, Held):
        check_bytes(path, len(path.data), "a file")
        return path.data
    check_regular(path)
    with open(path, "rb") as file:
        check_bytes(path, os.fstat(file.fileno()).st_size, "a file")
        return file.read()


def check_regular(path) -> None:
    """Raise InputError for what is not a regular file, or a link to one.

    Opening a pipe would wait for its writer, for ever if there is none.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode):
        kinds = (
            (stat.S_ISDIR, "folder"),
            (stat.S_ISFIFO, "pipe"),
            (stat.S_ISSOCK, "socket"),
        )
        kind = next((name for is_kind, name in kinds if is_kind(mode)), "device")
        raise InputError(path, f"a {kind}, not a file", "Leave it out.")


def _megapixels() -> float:
    text = os.environ.get(VARIABLE, "").strip()
    try:
        value = float(text) if text else _MEGAPIXELS
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:  # not a number is false here too
        raise InputError(
            VARIABLE, f"{text!r} is not a number of megapixels", "Set it to 100, say."
        )
    return value
