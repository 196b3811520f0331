"""The stored values of a DICOM image in any transfer syntax."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tfds_builders.common.dicom import run_length
from tfds_builders.common.dicom.codestream import (
    AGAIN,
    Codestream,
    decode,
    is_codestream,
    read_codestream,
)
from tfds_builders.common.dicom.layout import Layout
from tfds_builders.common.errors import InputError

_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)


class Cells(NamedTuple):
    """Pixel cells, and keys of counts.COUNTS about how they were written.

    codes: [rows, columns], unsigned, in the machine's byte order; a cell is all of
      BitsAllocated, or narrower where the samples of a compressed frame fill less.
    """

    codes: np.ndarray
    notes: tuple[str, ...] = ()


def read_cells(path, header, layout: Layout) -> Cells:
    """The pixel cells of a header in any transfer syntax.

    Errors: InputError if there are fewer or far more pixels than the header says, or
    the compressed frame is damaged, contradicts the header or cannot be decoded.
    """
    if header["PixelData"].is_undefined_length:
        return _encapsulated(path, header, layout)
    syntax = header.file_meta.TransferSyntaxUID
    if syntax not in _NATIVE:
        raise InputError(
            path,
            f"the transfer syntax is {syntax.name} ({syntax}), but the pixel data is "
            "not encapsulated as in a compressed file",
            "Export the file again.",
        )
    return Cells(_native(path, header, layout, big=syntax == ExplicitVRBigEndian))


def _native(path, header, layout: Layout, big: bool) -> np.ndarray:
    rows, columns, width = layout.rows, layout.columns, layout.width
    data, size = header.PixelData, rows * columns * width
    if len(data) < size:
        raise InputError(
            path, f"truncated: {len(data)} of {size} bytes of pixel data", AGAIN
        )
    # Bytes that are all alike may fill it up; others belong to a larger picture.
    left_over = data[size:]
    if left_over.strip(left_over[:1]):
        raise InputError(
            path,
            f"{len(data)} bytes of pixel data, but the header says {size}",
            "The header is wrong: export the file again.",
        )
    order = ">" if big else "<"
    if width == 1 and big and header["PixelData"].VR == "OW":
        # Two pixels are a word, and words are swapped (PS3.5, 8.1.2).
        words = np.frombuffer(data, ">u2", -(-size // 2)).astype("<u2")
        return words.view(np.uint8)[:size].reshape(rows, columns)
    cells = np.frombuffer(data, f"{order}u{width}", rows * columns)
    return cells.reshape(rows, columns).astype(f"=u{width}", copy=False)


def _encapsulated(path, header, layout: Layout) -> Cells:
    items = list(_items(path, header.PixelData))
    # The first item is a table of offsets, possibly empty; some writers omit it.
    is_frame = items and (
        is_codestream(items[0]) or run_length.begins(items[0], layout)
    )
    frame = b"".join(items if is_frame else items[1:])
    if not frame:
        raise InputError(path, "its pixel data are empty", AGAIN)
    if run_length.begins(frame, layout):
        return Cells(*run_length.decode(path, frame, layout))
    stream = read_codestream(path, frame)
    _check(path, layout, stream)
    samples = decode(path, frame, stream)
    if stream.signed:
        _check_sign(path, layout, samples)
        samples = samples.astype(f"i{layout.width}", copy=False)
    codes = samples.view(f"u{samples.itemsize}").reshape(layout.rows, layout.columns)
    return Cells(codes, _notes(layout, stream))


def _items(path, data: bytes) -> Iterator[bytes]:
    """The items of encapsulated pixel data: a table of offsets, fragments (A.4)."""
    at = 0
    while at < len(data) and not data.startswith(_DELIMITER, at):
        if not data.startswith(_ITEM, at) or at + 8 > len(data):
            raise InputError(
                path, "truncated or damaged pixel data (no item follows)", AGAIN
            )
        (length,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + length
        if end > len(data):
            raise InputError(
                path,
                f"truncated or damaged pixel data ({len(data) - at - 8} of {length} "
                "bytes of a fragment)",
                AGAIN,
            )
        yield data[at + 8 : end]
        at = end


def _check(path, layout: Layout, stream: Codestream) -> None:
    """Raise InputError where the codestream and the header contradict each other."""
    shape = layout.rows, layout.columns
    if (stream.rows, stream.columns) != shape or stream.components != 1:
        raise InputError(
            path,
            f"the header says {shape[0]} x {shape[1]} grey pixels, but the "
            f"{stream.kind} frame has {stream.rows} x {stream.columns} of "
            f"{stream.components} components",
            "Export the file again.",
        )
    used = layout.high + 1
    # Fewer bits than stored are small numbers; but where the sign would be, or values
    # that begin above the lowest bit, is then unknown.
    placed = stream.signed or (used == layout.stored and not layout.signed)
    if stream.bits > layout.allocated or (stream.bits < used and not placed):
        raise InputError(
            path,
            f"the header says {layout.stored} bits up to bit {layout.high} of "
            f"{layout.allocated}, but the {stream.kind} frame has {stream.bits}",
            "Export the file again.",
        )


def _check_sign(path, layout: Layout, samples: np.ndarray) -> None:
    """Raise InputError where samples have a sign that the header denies."""
    if not layout.signed and samples.min() < 0:
        raise InputError(
            path,
            f"the header says unsigned values, but the frame holds {samples.min()}",
            "PixelRepresentation is wrong, or the encoder was: export the file again.",
        )


def _notes(layout: Layout, stream: Codestream) -> tuple[str, ...]:
    found = []
    # Only JPEG 2000 has a sign of its own. Two's complement in unsigned samples is
    # what the header describes, so it is obeyed.
    if stream.kind == "JPEG 2000" and stream.signed != layout.signed:
        found.append("dicom_sign_contradicted")
    if stream.bits < layout.stored:
        found.append("dicom_depth_contradicted")
    return tuple(found)
