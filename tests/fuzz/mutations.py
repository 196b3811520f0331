"""Damage that any file may suffer: bytes cut, lost, doubled, added, flipped, zeroed."""

import functools
import os
import zlib
from pathlib import Path

import numpy as np

from tests.fuzz.case import Case

# Pieces are at least this share of the data: a decoder without checksums can overlook
# a few bytes that happen to hold as many pixels as what they replace.
_LEAST, _MOST = 0.05, 0.3
_EXTREME = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
# What lies at a path and is not a file.
PLACES = ("a pipe", "an endless device", "a folder", "a link to itself", "nothing")


def piece(rng, data: bytes, begin: int = 0) -> slice:
    """A part of the data that is large enough to matter."""
    room = len(data) - begin
    size = max(1, int(room * rng.uniform(_LEAST, _MOST)))
    start = begin + int(rng.integers(0, max(1, room - size)))
    return slice(start, start + size)


def cut(rng, data, begin=0):
    """Cuts off the end; in one file of four, nearly everything."""
    share = rng.uniform(0, 0.97) if rng.random() < 0.75 else rng.uniform(0, 0.05)
    return data[: begin + int((len(data) - begin) * share)]


def lose(rng, data, begin=0):
    gone = piece(rng, data, begin)
    return data[: gone.start] + data[gone.stop :]


def double(rng, data, begin=0):
    twice = piece(rng, data, begin)
    return data[: twice.stop] + data[twice.start :]


def stretch(rng, data, begin=0):
    where = piece(rng, data, begin)
    new = rng.bytes(where.stop - where.start)
    return data[: where.start] + new + data[where.start :]


def hole(rng, data, begin=0):
    gone = piece(rng, data, begin)
    return data[: gone.start] + bytes(gone.stop - gone.start) + data[gone.stop :]


def flip(rng, data, begin=0):
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        changed[int(rng.integers(begin, len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def extreme(rng, data, begin=0):
    """A length, a count or whatever else a word may be, at the end of its range."""
    width = int(rng.choice([1, 2, 4, 8]))
    value = int(rng.choice(_EXTREME)) & ((1 << 8 * width) - 1)
    at = int(rng.integers(begin, max(begin + 1, len(data) - width)))
    word = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")
    return data[:at] + word + data[at + width :]


def splice(rng, data, other):
    """The beginning of one file and the end of another."""
    return (
        data[: int(len(data) * rng.uniform(0.1, 0.9))]
        + (other[int(len(other) * rng.uniform(0.1, 0.9)) :])
    )


LENGTHS = {"cut": cut, "lose": lose, "double": double, "stretch": stretch}
IN_PLACE = {"flip": flip, "extreme": extreme}


def pick(rng, options):
    """Draws an element of a sequence."""
    return options[int(rng.integers(len(options)))]


def damage(rng, originals, index, *, lengths: str, hole_demand: str) -> Case:
    """A case of damage to the bytes of a file.

    Args:
      lengths: the demand for a file that lost or gained a part.
      hole_demand: the demand for one with a run of zeros.
    """
    original = originals[index]
    data = original.data
    family = pick(rng, [*LENGTHS, *LENGTHS, *IN_PLACE, *IN_PLACE, "hole", "splice"])
    if family == "splice":
        data = splice(rng, data, pick(rng, originals).data)
        return Case(original.name, family, data, "any")
    if family == "hole":
        return Case(original.name, family, hole(rng, data), hole_demand)
    if family in LENGTHS:
        return Case(original.name, family, LENGTHS[family](rng, data), lengths)
    return Case(original.name, family, IN_PLACE[family](rng, data), "any")


def no_file(rng, original) -> Case:
    """A path that is not a file."""
    return Case(original.name, pick(rng, PLACES), None, "noted")


def place(path: Path, case: Case) -> Path:
    """Puts the file of a case, or something else, at `path`."""
    if case.data is not None:
        path.write_bytes(case.data)
    elif case.mutation == "a pipe":
        os.mkfifo(path)
    elif case.mutation == "an endless device":
        path.symlink_to("/dev/zero")
    elif case.mutation == "a folder":
        path.mkdir()
    elif case.mutation == "a link to itself":
        path.symlink_to(path)
    return path


@functools.cache
def deflated_zeros(mebibytes: int) -> tuple[bytes, bytes]:
    """(raw deflate stream, its zlib form) of MiBs of zeros, 1 kB per MiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    raw = block * mebibytes + packer.flush()
    adler = (((mebibytes << 20) % 65521) << 16) | 1
    return raw, b"\x78\x9c" + raw + adler.to_bytes(4, "big")


def film(rows=120, columns=160, bits=12) -> np.ndarray:
    """Values [rows, columns] that look like a film, including both extremes."""
    rng = np.random.default_rng(bits)
    y, x = np.mgrid[:rows, :columns]
    smooth = (np.sin(x / 19) + np.cos(y / 17) + 2) / 4 * 0.8 + 0.1
    values = smooth * (2**bits - 1) + rng.normal(0, 2**bits / 60, (rows, columns))
    values[0, :2] = 0, 2**bits - 1
    values = np.clip(np.rint(values), 0, 2**bits - 1)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)
