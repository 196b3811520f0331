"""PNG and JPEG, damaged in their bytes, their structure and their streams."""

import functools
import math
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from tests.fuzz import mutations
from tests.fuzz.case import Case, Kind, Original, Reading
from tests.fuzz.mutations import film, pick
from tfds_builders.common.errors import InputError
from tfds_builders.image_folder import film as film_lib
from tfds_builders.image_folder.tree import Picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_film(path: Path) -> Reading:
    """Reads as a build of image_folder does: lossless at 16 bits, with its counts."""
    picture = Picture(path.stem, path, path.name, "chest", "")
    try:
        contents = film_lib.contents_of(picture)
        film = film_lib.Film(path.name, path, picture, contents, leaks=False)
        example = film_lib.read(film, size=1 << 16, bits=16, polarity="header")
    except OSError as error:  # `ingest.attempted` lists it with its path
        raise InputError(path, str(error.strerror), "") from error
    png = np.frombuffer(example.features["image"], np.uint8)
    pixels = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
    return Reading(pixels, example.notes)


def _chunk(name: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(_SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _png(chunks) -> bytes:
    return _SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)


def _encode(pixels: np.ndarray, colour: int, palette: bytes = b"") -> bytes:
    """A PNG without filters, its data in pieces of 4 kB."""
    rows, columns = pixels.shape[:2]
    bits = 8 * pixels.itemsize
    lines = pixels.astype(f">u{pixels.itemsize}").reshape(rows, -1)
    stream = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    pieces = [stream[at : at + 4096] for at in range(0, len(stream), 4096)]
    header = struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if palette:
        chunks.append((b"PLTE", palette))
    chunks += [(b"IDAT", piece) for piece in pieces]
    return _png([*chunks, (b"IEND", b"")])


@functools.cache
def pngs() -> tuple[Original, ...]:
    grey = film(bits=8)
    opaque = np.full_like(grey, 255)
    found = {
        "grey": _encode(grey, 0),
        "deep": _encode(film(bits=16), 0),
        "colour": _encode(np.dstack([grey] * 3), 2),
        "palette": _encode(grey, 3, bytes(np.arange(256).repeat(3).tolist())),
        "grey and opacity": _encode(np.dstack([grey, opaque]), 4),
        "colour and opacity": _encode(np.dstack([grey] * 3 + [opaque]), 6),
        "by OpenCV": cv2.imencode(".png", grey)[1].tobytes(),
    }
    return tuple(Original(*each) for each in found.items())


_EXIF = b"Exif\0\0"


def _orientation(value: int) -> bytes:
    """The TIFF of an EXIF segment that has only an orientation."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, value, 0)
    return b"II*\0\x08\0\0\0\x01\0" + entry + bytes(4)


# name: (chunk, its data, demand), put behind the header.
_ADDED = {
    "text": (b"tEXt", b"Comment\0x", "same"),
    "gamma": (b"gAMA", struct.pack(">I", 100_000), "seen"),
    "gamma 0": (b"gAMA", bytes(4), "seen"),
    "transparent": (b"tRNS", b"\0\x80", "seen"),
    "background": (b"bKGD", b"\0\x10", "seen"),
    "orientation": (b"eXIf", _orientation(6), "heeded"),
    "significant bits": (b"sBIT", b"\x04", "seen"),
    "unequal sides": (b"pHYs", struct.pack(">IIB", 2000, 1000, 1), "seen"),
    "animation": (b"acTL", struct.pack(">II", 2, 0), "seen"),
    "unknown and critical": (b"ABCD", b"x", "seen"),
    "unknown": (b"abCD", b"x" * 9, "same"),
    "text of 2 GiB": (
        b"zTXt",
        b"Comment\0\0" + mutations.deflated_zeros(2 << 10)[1],
        "seen",
    ),
}
_HEADERS = {
    "IHDR columns": (0, ">I", (159, 161, 80, 320, 0, 1, 1 << 20, 1 << 31)),
    "IHDR rows": (4, ">I", (119, 121, 60, 240, 0, 1, 1 << 20, 1 << 31)),
    "IHDR bits": (8, ">B", (1, 2, 4, 16, 3, 0, 255)),
    "IHDR colour": (9, ">B", (2, 3, 4, 6, 1, 255)),
    "IHDR filter": (11, ">B", (1, 255)),
    "IHDR interlace": (12, ">B", (1, 2, 255)),
}


def mutate_png(rng, index: int) -> Case:
    original = pngs()[index]
    how = rng.random()
    if how < 0.03:
        return mutations.no_file(rng, original)
    if how < 0.35:
        return mutations.damage(rng, pngs(), index, lengths="seen", hole_demand="seen")
    chunks = _chunks(original.data)
    if how < 0.5:
        title = pick(rng, list(_ADDED))
        *added, demand = _ADDED[title]
        if title in ("transparent", "background") and original.name not in (
            "grey",
            "by OpenCV",
        ):
            demand = "any"
        if title == "orientation":
            demand = "heeded"
        return Case(
            original.name, title, _png([chunks[0], tuple(added), *chunks[1:]]), demand
        )
    if how < 0.7:
        title = pick(rng, list(_HEADERS))
        at, form, values = _HEADERS[title]
        header = bytearray(chunks[0][1])
        struct.pack_into(form, header, at, pick(rng, values))
        if bytes(header) == chunks[0][1]:
            header[9] ^= 2
        data = _png([(b"IHDR", bytes(header)), *chunks[1:]])
        return Case(original.name, title, data, "seen")
    if how < 0.75:
        return _png_bomb(original)
    return _mutate_idat(rng, original, chunks)


def _png_bomb(original: Original) -> Case:
    size, samples = 30_000, 3
    total = math.ceil(size * (samples * size + 1) / (1 << 20))
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    stream = mutations.deflated_zeros(total)[1]
    data = _png([(b"IHDR", header), (b"IDAT", stream), (b"IEND", b"")])
    return Case(original.name, "unpacks to 2.7 GB", data, "any")


def _mutate_idat(rng, original: Original, chunks) -> Case:
    """Changes the compressed stream, with correct checksums."""
    stream = b"".join(data for name, data in chunks if name == b"IDAT")
    others = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    family = pick(rng, [*mutations.LENGTHS, "flip", "hole", "no stream", "no end"])
    if family == "no stream":
        stream = b""
    elif family == "hole":
        stream = mutations.hole(rng, stream)
    elif family == "flip":
        stream = mutations.flip(rng, stream, 2)
    elif family != "no end":
        stream = mutations.LENGTHS[family](rng, stream)
    pieces = [(b"IDAT", stream)] if family != "no stream" else []
    end = [] if family == "no end" else others[-1:]
    data = _png([*others[:-1], *pieces, *end])
    return Case(original.name, f"stream: {family}", data, "seen")


def place_png(folder: Path, case: Case) -> Path:
    name = "deep" if case.original == "deep" else "film"
    return mutations.place(folder / f"{name}.png", case)


@functools.cache
def jpegs() -> tuple[Original, ...]:
    grey = film(200, 240, bits=8)
    options = {
        "baseline": [],
        "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
        "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 8],
        "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    }
    found = {
        name: cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 90, *each])[1]
        for name, each in options.items()
    }
    found["colour"] = cv2.imencode(".jpg", np.dstack([grey] * 3))[1]
    return tuple(Original(name, data.tobytes()) for name, data in found.items())


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


_THUMBNAIL = b"\xff\xd8\xff\xda\0\x02\xff\xd9"
# name: (segment put behind the start, demand).
_SEGMENTS = {
    "comment": (_segment(0xFE, b"x" * 99), "same"),
    "thumbnail": (_segment(0xE1, _EXIF + _orientation(1) + _THUMBNAIL), "same"),
    **{
        f"orientation {n}": (_segment(0xE1, _EXIF + _orientation(n)), "heeded")
        for n in (2, 3, 6, 8)
    },
    "orientation 1": (_segment(0xE1, _EXIF + _orientation(1)), "same"),
    "orientation 99": (_segment(0xE1, _EXIF + _orientation(99)), "seen"),
    "EXIF damaged": (_segment(0xE1, _EXIF + b"II*\0\xff\xff\xff\xff"), "seen"),
    "restart interval": (_segment(0xDD, b"\0\x05"), "seen"),
    "Adobe": (_segment(0xEE, b"Adobe\0\x64\0\0\0\0\x02"), "seen"),
    "profile": (_segment(0xE2, b"ICC_PROFILE\0\x01\x02" + b"x" * 40), "seen"),
}


def mutate_jpeg(rng, index: int) -> Case:
    original = jpegs()[index]
    how = rng.random()
    if how < 0.03:
        return mutations.no_file(rng, original)
    if how < 0.2:
        return mutations.damage(rng, jpegs(), index, lengths="seen", hole_demand="any")
    data = original.data
    if how < 0.35:
        title = pick(rng, list(_SEGMENTS))
        segment, demand = _SEGMENTS[title]
        if original.name == "colour" and title == "Adobe":
            demand = "any"  # it says what the channels are
        return Case(original.name, title, data[:2] + segment + data[2:], demand)
    if how < 0.5:
        return _mutate_sof(rng, original)
    scan = data.index(b"\xff\xda") + 12
    body, end = data[:-2], data[-2:]
    family = pick(rng, [*mutations.LENGTHS, "hole", "flip"])
    if family == "hole":
        changed, demand = mutations.hole(rng, body, scan), "any"  # libjpeg tells
    elif family == "flip":
        changed, demand = mutations.flip(rng, body, scan), "any"
    else:
        changed, demand = mutations.LENGTHS[family](rng, body, scan), "seen"
    return Case(original.name, f"stream: {family}", changed + end, demand)


def _mutate_sof(rng, original: Original) -> Case:
    """Changes the size or depth in the frame header."""
    data = bytearray(original.data)
    at = next(i for m in (b"\xff\xc0", b"\xff\xc2") if (i := data.find(m)) > 0)
    field, form, values = pick(
        rng,
        [
            ("rows", (at + 5, ">H"), (0, 1, 100, 300, 65500, 65535)),
            ("columns", (at + 7, ">H"), (0, 1, 120, 400, 65500, 65535)),
            ("bits", (at + 4, ">B"), (0, 12, 16)),
            ("components", (at + 9, ">B"), (0, 2, 3, 4, 255)),
            ("marker", (at + 1, ">B"), (0xC1, 0xC3, 0xC9, 0xCA, 0xF7)),
        ],
    )
    struct.pack_into(form[1], data, form[0], pick(rng, values))
    if rng.random() < 0.1:
        struct.pack_into(">HH", data, at + 5, 65500, 65500)
        field = "65500 x 65500"
    # Baseline and extended frames of 8 bits are coded alike.
    demand = "any" if field == "marker" else "seen"
    return Case(original.name, f"SOF {field}", bytes(data), demand)


def place_jpeg(folder: Path, case: Case) -> Path:
    return mutations.place(folder / "film.jpg", case)


PNG = Kind(pngs, mutate_png, place_png, read_film, share=2)
JPEG = Kind(jpegs, mutate_jpeg, place_jpeg, read_film, share=2)
