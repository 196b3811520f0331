"""Compressed grey frames: the header of a codestream, and its pixels.

A codestream states its own format, size and depth, so it is decoded as what it is
even if the transfer syntax is missing or wrong. One library decodes them all
(imagecodecs: libjpeg-turbo, CharLS, OpenJPEG).
"""

import struct
from typing import NamedTuple

import numpy as np

from tfds_builders.common import jpeg
from tfds_builders.common.errors import InputError

AGAIN = "Copy the file from its source again."
_END = jpeg.END  # of JPEG, JPEG-LS and JPEG 2000 alike
_J2K = b"\xff\x4f\xff\x51"  # SOC and SIZ
_SOD = b"\xff\x93"  # start of the data of a tile-part
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"  # a JPEG 2000 file around its codestream
_SOF = {  # ITU-T T.81, table B.1; T.87, C.1.1
    0xC0: "JPEG",
    0xC1: "JPEG",
    0xC3: "JPEG Lossless",
    0xF7: "JPEG-LS",
}
_HOLE = bytes(4096)  # what a copy leaves where a block of the disk was not written
_TAIL = 8  # bytes of a JPEG that are replaced to see whether they were used


class Codestream(NamedTuple):
    """What the header of a compressed frame says."""

    kind: str  # JPEG, JPEG Lossless, JPEG-LS or JPEG 2000
    rows: int
    columns: int
    components: int
    bits: int
    signed: bool


def is_codestream(data: bytes) -> bool:
    """Whether data begin as a JPEG, JPEG-LS or JPEG 2000 does."""
    return data.startswith((b"\xff\xd8\xff", _J2K, _JP2))


def read_codestream(path, frame: bytes) -> Codestream:
    """The header of a frame. Errors: InputError for an unsupported format."""
    if frame.startswith(b"\xff\xd8"):
        stream = _jpeg_header(frame)
    elif frame.startswith((_J2K, _JP2)):
        stream = _jpeg2000_header(frame)
    else:
        stream = None
    if stream is None:
        raise InputError(
            path,
            f"compressed pixel data in an unknown format (first bytes "
            f"{frame[:4].hex(' ')})",
            "Supported are JPEG (baseline, extended, lossless), JPEG-LS, JPEG 2000, RLE: "
            "export the file uncompressed (dcmtk: dcmdjpeg; gdcmconv --raw).",
        )
    return stream


def decode(path, frame: bytes, stream: Codestream) -> np.ndarray:
    """Samples [rows, columns], 8 or 16 bits wide, signed where the codestream is.

    Errors: InputError if the frame is detectably truncated or damaged, or imagecodecs
    is not installed.
    """
    try:
        import imagecodecs  # an extra: only compressed files need it
    except ImportError:
        raise InputError(
            path,
            f"compressed as {stream.kind}, but no decoder is installed",
            "pip install 'cxr_jax[dicom]', or export the file uncompressed (dcmtk: "
            "dcmdjpeg; gdcmconv --raw).",
        ) from None
    frame = _without_padding(path, frame, stream)
    decoder = {
        "JPEG": imagecodecs.jpeg8_decode,
        "JPEG Lossless": imagecodecs.jpeg8_decode,
        "JPEG-LS": imagecodecs.jpegls_decode,
        "JPEG 2000": imagecodecs.jpeg2k_decode,
    }[stream.kind]
    if stream.kind == "JPEG 2000" and _HOLE in frame:
        # Its encoder never writes such a run, and OpenJPEG decodes it as faint detail.
        raise InputError(path, "a damaged JPEG 2000 frame (a hole of zeros)", AGAIN)
    try:
        pixels = decoder(frame)
    except Exception as error:  # each decoder has its own
        raise InputError(
            path, f"a damaged {stream.kind} frame ({error})", AGAIN
        ) from error
    if pixels.shape != (stream.rows, stream.columns):
        found = " x ".join(map(str, pixels.shape))
        raise InputError(path, f"a damaged {stream.kind} frame ({found})", AGAIN)
    is_doubtful = False
    if stream.kind == "JPEG":
        _, is_doubtful = jpeg.decode(_of_8_bits(frame))
    elif stream.kind == "JPEG Lossless":
        is_doubtful = not _uses_all(decoder, frame, pixels)
    if is_doubtful:
        raise InputError(
            path,
            f"a damaged {stream.kind} frame: its data ends before or after the image",
            AGAIN,
        )
    return pixels


def _jpeg_header(frame: bytes) -> Codestream | None:
    """The frame header of JPEG or JPEG-LS (ITU-T T.81, B.2.2)."""
    for marker, at, _ in jpeg.segments(frame):
        if marker == jpeg.SCAN:
            return None
        if marker in _SOF and at + 10 <= len(frame):
            bits, rows, columns, components = struct.unpack_from(">BHHB", frame, at + 4)
            return Codestream(_SOF[marker], rows, columns, components, bits, False)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return None  # progressive, hierarchical or arithmetic
    return None


def _without_padding(path, frame: bytes, stream: Codestream) -> bytes:
    """The frame up to its end marker; any bytes may follow it (PS3.5, A.4).

    In coded data 0xFF is never followed by a byte as large as that of a marker, so the
    end marker behind the beginning of the data is no chance.
    """
    if stream.kind == "JPEG 2000":
        data = frame.find(_SOD)
        # A header between the parts may hold the same bytes by chance.
        second = frame.find(_END + _J2K)
        end = second if second >= 0 else frame.rfind(_END, max(data, 0))
        data = -1 if data < 0 else data + 2
    else:
        data = _data_of_scan(frame)
        end = frame.find(_END, max(data, 0))
    if data < 0 or end < 0:
        raise InputError(
            path, f"a truncated {stream.kind} frame (no end marker)", AGAIN
        )
    end += len(_END)
    if is_codestream(frame[end:]):
        raise InputError(
            path,
            f"a second frame behind the {stream.kind} frame",
            "A radiograph has one frame: remove the file, or export one frame.",
        )
    return frame[:end]


def _data_of_scan(frame: bytes) -> int:
    """Where the coded data of the first scan of a JPEG begin; -1 if nowhere."""
    for marker, at, size in jpeg.segments(frame):
        if marker == jpeg.SCAN:
            return at + size
    return -1


def _jpeg2000_header(frame: bytes) -> Codestream | None:
    """The SIZ segment (ITU-T T.800, A.5.1)."""
    at = frame.find(_J2K)
    if at < 0 or at + 43 > len(frame):
        return None
    width, height, left, top = struct.unpack_from(">4I", frame, at + 8)
    components, depth = struct.unpack_from(">HB", frame, at + 40)
    bits, signed = (depth & 0x7F) + 1, bool(depth & 0x80)
    return Codestream("JPEG 2000", height - top, width - left, components, bits, signed)


def _of_8_bits(frame: bytes) -> bytes:
    """The same coded data, declared to have 8 bits.

    Data of 12 bits are coded alike, but OpenCV's libjpeg, which tells where they are
    not whole, takes 8 only. The pixels that it makes of them mean nothing.
    """
    at = next(at for marker, at, _ in jpeg.segments(frame) if marker in _SOF)
    return frame[: at + 4] + b"\x08" + frame[at + 5 :]


def _uses_all(decoder, frame: bytes, pixels: np.ndarray) -> bool:
    """Whether a lossless image uses the frame's data exactly up to its end.

    libjpeg fills an image whose data ends early, and skips data that is left over,
    without a word. So the last bytes are replaced and decoded again: the end of the
    image must change, and nothing before it.
    """
    end = frame.rindex(_END)
    data = _data_of_scan(frame)
    cut = max(end - _TAIL, data)
    while cut > data and frame[cut - 1] == 0xFF:  # keep marker and stuffing whole
        cut -= 1
    # Other bits everywhere, and no marker (0xFF) among them.
    tail = bytes(b ^ 0xAA if b != 0x55 else 0x2A for b in frame[cut:end])
    other = decoder(frame[:cut] + tail + tail + _END)
    rows, columns = pixels.shape
    samples = 8 * len(tail)  # at most: one takes at least a bit
    first = max(rows - -(-samples // columns) - 1, 0)
    return np.array_equal(pixels[:first], other[:first]) and not np.array_equal(
        pixels[first:], other[first:]
    )
