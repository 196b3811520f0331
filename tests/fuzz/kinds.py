"""The kinds of files that are damaged, KINDS[name], and their cases by number."""

import zlib

import numpy as np

from tests.fuzz import weights
from tests.fuzz.case import Case, Kind
from tests.fuzz.dicoms import DICOM
from tests.fuzz.pictures import JPEG, PNG
from tests.fuzz.runs import RUN
from tests.fuzz.tables import CSV, XLSX
from tests.fuzz.tiffs import TIFF, WEBP

KINDS = {
    "dicom": DICOM,
    "png": PNG,
    "jpeg": JPEG,
    "tiff": TIFF,
    "webp": WEBP,
    "csv": CSV,
    "xlsx": XLSX,
    "pth": weights.PTH,
    "safetensors": weights.SAFETENSORS,
    "h5": weights.H5,
    "npz": weights.NPZ,
    "keras": weights.KERAS,
    "run": RUN,
}


def make_case(kind: Kind, name: str, number: int) -> Case:
    """Makes a case; it depends only on kind and number."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    return kind.mutate(rng, number % len(kind.originals()))


def plan(names: list[str], n: int, seed: int) -> list[tuple[str, int]]:
    """(kind, number) of n cases, divided among the kinds."""
    total = sum(KINDS[name].share for name in names)
    counts = [n * KINDS[name].share // total for name in names]
    counts[0] += n - sum(counts)
    return [
        (name, seed * 1_000_000 + number)
        for name, count in zip(names, counts, strict=True)
        for number in range(count)
    ]
