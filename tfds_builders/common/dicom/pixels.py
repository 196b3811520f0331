"""The stored values of a DICOM image in any transfer syntax."""

import struct

import numpy as np
from pydicom.encaps import generate_fragments
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
    read_codestream,
)
from tfds_builders.common.errors import InputError

_NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)


def stored_values(path, header) -> np.ndarray:
    """The pixel cells [rows, columns] as unsigned codes, in the machine's byte order.

    A cell is all of BitsAllocated; where the samples of a compressed frame fill less
    of it, the codes may be narrower.

    Errors: InputError if there are fewer or far more pixels than the header says, or
    the compressed frame is damaged, contradicts the header or cannot be decoded.
    """
    if header["PixelData"].is_undefined_length:
        return _encapsulated(path, header)
    syntax = header.file_meta.TransferSyntaxUID
    if syntax not in _NATIVE:
        raise InputError(
            path,
            f"the transfer syntax is {syntax.name} ({syntax}), but the pixel data is "
            "not encapsulated as in a compressed file",
            "Export the file again.",
        )
    return _native(path, header, big=syntax == ExplicitVRBigEndian)


def _native(path, header, big: bool) -> np.ndarray:
    rows, columns = int(header.Rows), int(header.Columns)
    width = int(header.BitsAllocated) // 8
    data, size = header.PixelData, rows * columns * width
    if len(data) < size:
        raise InputError(
            path, f"truncated: {len(data)} of {size} bytes of pixel data", AGAIN
        )
    if len(data) >= 2 * size:  # less than one image more is padding
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


def _encapsulated(path, header) -> np.ndarray:
    try:
        _, *fragments = generate_fragments(header.PixelData)  # the first is a table
    except ValueError as error:
        raise InputError(
            path, f"truncated or damaged pixel data ({error})", AGAIN
        ) from None
    frame = b"".join(fragments)
    rows, columns = int(header.Rows), int(header.Columns)
    width = int(header.BitsAllocated) // 8
    if frame.startswith(struct.pack("<II", width, 64)):
        return _run_length(path, header)
    stream = read_codestream(path, frame)
    _check(path, header, stream)
    samples = decode(path, frame, stream)
    if stream.signed:
        samples = samples.astype(f"i{width}", copy=False)
    return samples.view(f"u{samples.itemsize}").reshape(rows, columns)


def _run_length(path, header) -> np.ndarray:
    header.file_meta.TransferSyntaxUID = RLELossless  # where it is missing or wrong
    try:
        # pydicom's own decoder counts the bytes of each segment. All bits are wanted:
        # it would keep the lowest ones, wherever HighBit is.
        cells, _ = get_decoder(RLELossless).as_array(
            header,
            index=0,
            raw=True,
            correct_unused_bits=False,
            decoding_plugin="pydicom",
        )
    except (ValueError, RuntimeError) as error:
        raise InputError(path, f"a damaged RLE frame ({error})", AGAIN) from None
    return cells.view(f"u{cells.itemsize}")


def _check(path, header, stream: Codestream) -> None:
    """Raise InputError where the codestream and the header contradict each other."""
    shape = int(header.Rows), int(header.Columns)
    if (stream.rows, stream.columns) != shape or stream.components != 1:
        raise InputError(
            path,
            f"the header says {shape[0]} x {shape[1]} grey pixels, but the "
            f"{stream.kind} frame has {stream.rows} x {stream.columns} of "
            f"{stream.components} components",
            "Export the file again.",
        )
    stored = int(header.BitsStored)
    used = int(header.get("HighBit", stored - 1)) + 1
    # Fewer bits than stored are small numbers; but where the sign would be, or values
    # that begin above the lowest bit, is then unknown.
    placed = stream.signed or (used == stored and not int(header.PixelRepresentation))
    if stream.bits > int(header.BitsAllocated) or (stream.bits < used and not placed):
        raise InputError(
            path,
            f"the header says {stored} bits up to bit {used - 1} of "
            f"{header.BitsAllocated}, but the {stream.kind} frame has {stream.bits}",
            "Export the file again.",
        )
