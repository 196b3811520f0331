"""The stored values of a DICOM image in any transfer syntax."""

import struct
from typing import NamedTuple

import numpy as np
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.pixels import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tfds_builders.common.dicom.codestream import (
    AGAIN,
    Codestream,
    decode,
    is_codestream,
    read_codestream,
)
from tfds_builders.common.dicom.layout import Layout
from tfds_builders.common.errors import InputError

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
    # Less than one image more is padding; that of one byte is a pair.
    if len(data) >= 2 * size + size % 2:
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
    try:
        fragments = list(generate_fragments(header.PixelData))
    except ValueError as error:
        raise InputError(
            path, f"truncated or damaged pixel data ({error})", AGAIN
        ) from None
    # The first item is a table of offsets, possibly empty; some writers omit it.
    is_table = fragments and not _begins_frame(fragments[0], layout)
    frame = b"".join(fragments[1:] if is_table else fragments)
    if not frame:
        raise InputError(path, "its pixel data are empty", AGAIN)
    if _begins_run_length(frame, layout):
        return Cells(_run_length(path, frame, layout))
    stream = read_codestream(path, frame)
    _check(path, layout, stream)
    samples = decode(path, frame, stream)
    if stream.signed:
        _check_sign(path, layout, samples)
        samples = samples.astype(f"i{layout.width}", copy=False)
    codes = samples.view(f"u{samples.itemsize}").reshape(layout.rows, layout.columns)
    return Cells(codes, _notes(layout, stream))


def _begins_frame(item: bytes, layout: Layout) -> bool:
    return is_codestream(item) or _begins_run_length(item, layout)


def _begins_run_length(frame: bytes, layout: Layout) -> bool:
    """The number of segments, and where the first one is (PS3.5, G.5)."""
    return frame.startswith(struct.pack("<II", layout.width, 64))


def _run_length(path, frame: bytes, layout: Layout) -> np.ndarray:
    try:
        # pydicom's own decoder counts the bytes of each segment. All bits are wanted:
        # it would keep the lowest ones, wherever HighBit is.
        cells, _ = get_decoder(RLELossless).as_array(
            encapsulate([frame], has_bot=False),
            index=0,
            raw=True,
            correct_unused_bits=False,
            decoding_plugin="pydicom",
            rows=layout.rows,
            columns=layout.columns,
            bits_allocated=layout.allocated,
            bits_stored=layout.stored,
            number_of_frames=1,
            photometric_interpretation=layout.photometric,
            pixel_keyword="PixelData",
            pixel_representation=int(layout.signed),
            samples_per_pixel=1,
        )
    except (ValueError, RuntimeError) as error:
        raise InputError(path, f"a damaged RLE frame ({error})", AGAIN) from None
    return cells.view(f"u{cells.itemsize}")


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
