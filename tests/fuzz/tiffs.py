"""TIFF and WebP, damaged in their bytes and in what their headers say."""

import functools
import struct
from pathlib import Path

import cv2

from tests.fuzz import mutations
from tests.fuzz.case import Case, Kind, Original
from tests.fuzz.mutations import film, pick
from tests.fuzz.pictures import read_film

_COMPRESSED = {"none": 1, "LZW": 5, "deflate": 8, "PackBits": 32773}
# Tag: (name, values that contradict the file, demand). Section 8 of TIFF 6.0.
_TAGS = {
    256: ("width", (0, 1, 40, 30000, 65535), "seen"),
    257: ("height", (0, 1, 40, 30000, 65535), "seen"),
    258: ("bits", (1, 4, 12, 32, 64), "seen"),
    259: ("compression", (2, 6, 7, 50000, 65535), "seen"),
    262: ("photometric", (3, 4, 5, 6, 8), "seen"),
    274: ("orientation", (2, 3, 6, 8), "heeded"),
    277: ("samples", (0, 2, 4, 255), "seen"),
    339: ("format", (2, 3), "seen"),
}


@functools.cache
def tiffs() -> tuple[Original, ...]:
    found = {}
    for name, number in _COMPRESSED.items():
        for bits in (8, 16):
            settings = [cv2.IMWRITE_TIFF_COMPRESSION, number]
            data = cv2.imencode(".tiff", film(bits=bits), settings)[1]
            found[f"{name}, {bits} bits"] = data.tobytes()
    return tuple(Original(*each) for each in found.items())


def mutate_tiff(rng, index: int) -> Case:
    original = tiffs()[index]
    how = rng.random()
    if how < 0.03:
        return mutations.no_file(rng, original)
    if how < 0.2:
        return Case(original.name, "cut", mutations.cut(rng, original.data), "seen")
    if how < 0.45:
        # Strips have no checksums, but for those of deflate.
        return mutations.damage(rng, tiffs(), index, lengths="any", hole_demand="any")
    return _mutate_tag(rng, original)


def _mutate_tag(rng, original: Original) -> Case:
    data = bytearray(original.data)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    if rng.random() < 0.15:
        struct.pack_into("<I", data, at + 2 + 12 * count, 8)
        return Case(original.name, "a second page", bytes(data), "noted")
    entries = {
        struct.unpack_from("<H", data, entry)[0]: entry
        for entry in range(at + 2, at + 2 + 12 * count, 12)
    }
    tag = pick(rng, sorted(set(entries) & set(_TAGS)))
    name, values, demand = _TAGS[tag]
    value = pick(rng, values)
    struct.pack_into("<HIHH", data, entries[tag] + 2, 3, 1, value, 0)
    # Of a compressed picture the rows that a strip has are not known beforehand.
    if name in ("width", "height"):
        demand = "any"
    return Case(original.name, f"{name} {value}", bytes(data), demand)


@functools.cache
def webps() -> tuple[Original, ...]:
    grey = film(bits=8)
    return tuple(
        Original(
            name,
            cv2.imencode(".webp", grey, [cv2.IMWRITE_WEBP_QUALITY, quality])[
                1
            ].tobytes(),
        )
        for name, quality in (("lossy", 90), ("lossless", 101))
    )


def mutate_webp(rng, index: int) -> Case:
    original = webps()[index]
    how = rng.random()
    if how < 0.05:
        return mutations.no_file(rng, original)
    if how < 0.4:
        return Case(original.name, "cut", mutations.cut(rng, original.data), "seen")
    return mutations.damage(rng, webps(), index, lengths="any", hole_demand="any")


def place_tiff(folder: Path, case: Case) -> Path:
    return mutations.place(folder / "film.tiff", case)


def place_webp(folder: Path, case: Case) -> Path:
    return mutations.place(folder / "film.webp", case)


TIFF = Kind(tiffs, mutate_tiff, place_tiff, read_film)
WEBP = Kind(webps, mutate_webp, place_webp, read_film)
