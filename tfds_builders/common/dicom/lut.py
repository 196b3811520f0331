"""Look-up tables of a DICOM header (PS3.3, C.11.1.1 and C.11.2.1.1)."""

from typing import NamedTuple

import numpy as np

from tfds_builders.common.dicom.attributes import has, numbers
from tfds_builders.common.errors import InputError

_EXPORT = "Remove {} from the header, or export the file again."


class Lut(NamedTuple):
    """One table: the first entry stands for `start` and all below it."""

    start: int
    bits: int  # of an entry
    data: np.ndarray

    @property
    def full(self) -> float:
        """The largest entry that its bits can hold."""
        return float((1 << self.bits) - 1)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The entries for values; the first and the last stand for all beyond."""
        last = len(self.data) - 1
        index = np.clip(np.rint(values - self.start), 0, last).astype(np.int64)
        return self.data[index].astype(np.float64)


def read_lut(path, header, name: str, low: float, high: float) -> Lut | None:
    """The first table of a sequence; None where it holds none.

    Args:
      name: ModalityLUTSequence or VOILUTSequence.
      low, high: ends of the range of the values that it is applied to.

    Errors: InputError for a table that lacks a part or contradicts its descriptor.
    """
    item = _item(header, name)
    if item is None:
        return None
    lacks = [n for n in ("LUTDescriptor", "LUTData") if not has(item, n)]
    if lacks:
        raise InputError(path, f"{name} lacks {', '.join(lacks)}", _EXPORT.format(name))
    descriptor = numbers(path, item, "LUTDescriptor")
    if len(descriptor) != 3:
        raise InputError(
            path,
            f"{name}: LUTDescriptor has {len(descriptor)} numbers instead of 3",
            _EXPORT.format(name),
        )
    # Writers confuse US and SS; the 16 bits are the same.
    count, start = (int(x) & 0xFFFF for x in descriptor[:2])
    bits = int(descriptor[2])
    count = count or 1 << 16
    data = _entries(item, count, little=header.original_encoding[1] is not False)
    # One byte more fills up a word.
    if not count <= len(data) <= count + 1 or not 1 <= bits <= 16:
        raise InputError(
            path,
            f"{name}: {len(data)} entries of {bits} bits, expected {count}",
            _EXPORT.format(name),
        )
    data = data[:count]
    if data.max() >= 1 << bits:
        raise InputError(
            path,
            f"{name}: entries up to {data.max()}, more than the {bits} bits hold that "
            "LUTDescriptor states",
            _EXPORT.format(name),
        )
    return Lut(_signed_start(start, count, low, high), bits, data)


def is_empty(header, name: str) -> bool:
    """Whether a sequence is there whose first item holds no part of a table."""
    return bool(header.get(name)) and _item(header, name) is None


def _item(header, name: str):
    items = header.get(name)
    if not items:
        return None
    item = items[0]
    return item if "LUTDescriptor" in item or "LUTData" in item else None


def _entries(item, count: int, little: bool) -> np.ndarray:
    data = item["LUTData"].value
    if isinstance(data, bytes):  # words, in the byte order of the file
        words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little else ">u2")
        packed = len(words) < count  # two entries of 8 bits in each
        return words.astype("<u2").view(np.uint8) if packed else words
    return np.atleast_1d(np.asarray(data)).astype(np.int64) & 0xFFFF


def _signed_start(start: int, count: int, low: float, high: float) -> int:
    """The first value of a table, which is signed where the values are.

    Writers confuse this too: where the table would lie outside all values, the other
    reading of the same 16 bits is the right one if it does not.
    """
    readings = [start, start - (1 << 16)]
    if low < 0 and start > 32767:
        readings.reverse()
    for reading in readings if start > 32767 else readings[:1]:
        if reading <= high and reading + count > low:
            return reading
    return readings[0]
