"""Opening DICOM files, including those without a file header.

PS3.10 requires a preamble, file meta information and in it the transfer syntax. Old
archives and research exports lack some or all of them.
"""

import contextlib
import io
import mmap
import struct
import zlib
from pathlib import Path

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import VR

from tfds_builders.common import limits
from tfds_builders.common.errors import InputError
from tfds_builders.common.limits import Held

_AGAIN = "Copy the file from its source again."
_PREAMBLE, _PREFIX = bytes(128), b"DICM"
_HEAD = 1 << 16  # bytes; file meta information takes less than a thousand
_LONG = {b"OB", b"OW", b"UN", b"SQ", b"UT"}  # explicit VRs with a length of 4 bytes
_EXPLICIT = {vr.value.encode() for vr in VR if len(vr.value) == 2}
_PIXELS = pydicom.tag.Tag(0x7FE0, 0x0010)
_LAST_GROUPS = (0xFFFA, 0xFFFC)  # signatures and padding
_DATA_SETS = (b"\x02\0", b"\x08\0", b"\0\x08")  # how a data set begins: its group


def open_dicom(path: Path | Held) -> pydicom.Dataset:
    """The data set of a DICOM file, its transfer syntax in `file_meta`.

    Without a transfer syntax, an encoding is used only if the whole header, down to
    pixel data of the stated size, can be read in it, and in no other.

    Errors: InputError if the file is not DICOM, or has no transfer syntax and an
    ambiguous encoding. Other exceptions if it is damaged.
    """
    data = limits.read_file(path)
    begin = 132 if data[128:132] == _PREFIX else 4 * data.startswith(_PREFIX)
    at, syntax = _file_meta(data[:_HEAD], begin)
    if syntax == DeflatedExplicitVRLittleEndian:
        data, begin = _inflated(path, data[at:]), 132
    if syntax:
        start = _PREAMBLE if begin == 4 else b""
        header = pydicom.dcmread(io.BytesIO(start + data), force=True)
        _check_end(path, header)
        return header
    if not begin and not data.startswith(_DATA_SETS):
        found = f"first bytes {data[:16]!r}" if data else "it is empty"
        raise InputError(path, f"not a DICOM file ({found})", _AGAIN)
    return _guess(path, data[at:])


def open_header(path: Path, tags: list[str]) -> pydicom.Dataset:
    """At least these attributes of a DICOM file, without reading its pixels.

    Errors: as of `open_dicom`.
    """
    limits.check_regular(path)
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        _, syntax = _file_meta(head, 132)
        if head[128:132] == _PREFIX and syntax not in (
            "",
            DeflatedExplicitVRLittleEndian,
        ):
            # A damaged length may be larger than memory; a map ends with the file.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return pydicom.dcmread(
                    data, stop_before_pixels=True, specific_tags=list(tags)
                )
    return open_dicom(path)


def _check_end(path, header) -> None:
    """Raise InputError where something follows the pixels that is no attribute.

    Then bytes were added or doubled, and the pixels are not where they belong.
    """
    tags = list(header.keys())
    behind = tags[tags.index(_PIXELS) + 1 :] if _PIXELS in tags else []
    for tag in behind:
        element = header.get_item(tag)
        is_whole = not isinstance(element, RawDataElement) or (
            element.length == len(element.value or b"")
        )
        known = tag.group % 2 or tag.group in _LAST_GROUPS
        if tag != 0 and not (known and tag > _PIXELS and is_whole):  # 0 fills a block
            raise InputError(
                path, f"data behind its pixels that are no attribute ({tag})", _AGAIN
            )


def _inflated(path, data: bytes) -> bytes:
    """A file with the deflated data set as it is (PS3.5, A.5)."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(data, limits.most_bytes() + 1)
    except zlib.error as error:
        raise InputError(path, f"damaged deflated data ({error})", _AGAIN) from None
    limits.check_bytes(path, len(unpacked), "deflated data")
    if not unpacker.eof:
        raise InputError(path, "truncated deflated data", _AGAIN)
    return _file(unpacked, ExplicitVRLittleEndian)


def _file(data: bytes, syntax) -> bytes:
    """A file of a data set, with a transfer syntax."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = struct.pack("<HH2sH", 2, 0x0010, b"UI", len(uid)) + uid
    return _PREAMBLE + _PREFIX + meta + data


def _file_meta(head: bytes, at: int) -> tuple[int, str]:
    """Where the file meta information (group 2) ends, and its transfer syntax."""
    syntax = ""
    while head[at : at + 2] == b"\x02\0" and at + 12 <= len(head):
        element, vr, length = struct.unpack_from("<H2sH", head, at + 2)
        at += 8
        if vr in _LONG:
            (length,) = struct.unpack_from("<I", head, at)
            at += 4
        if element == 0x0010:
            syntax = head[at : at + length].strip(b"\0 ").decode("ascii", "replace")
        at += length
    return at, syntax


def _guess(path, data: bytes) -> pydicom.Dataset:
    """The data set in the one encoding that fits it."""
    if data[4:6] in _EXPLICIT:
        syntaxes = [ExplicitVRLittleEndian, ExplicitVRBigEndian]
    else:
        syntaxes = [ImplicitVRLittleEndian]
    fits = [header for syntax in syntaxes if (header := _whole(data, syntax))]
    if len(fits) != 1:
        raise InputError(
            path,
            "no transfer syntax, and the data fits no encoding: truncated, damaged, "
            "deflated, or without pixels",
            "Export the file again as a DICOM file with its header (dcmtk: dcmconv "
            "+F).",
        )
    _check_end(path, fits[0])
    return fits[0]


def _whole(data: bytes, syntax) -> pydicom.Dataset | None:
    """The data set, where `syntax` reads it down to whole pixel data."""
    with contextlib.suppress(Exception):  # whatever pydicom meets in a wrong encoding
        header = pydicom.dcmread(io.BytesIO(_file(data, syntax)))
        size = header.Rows * header.Columns * header.BitsAllocated // 8
        pixels = header["PixelData"]
        if size and (pixels.is_undefined_length or len(pixels.value) >= size):
            return header
    return None
