"""What a device can do at most, by its data sheet: 'unknown' where it is not listed."""

from __future__ import annotations

from typing import NamedTuple


class Peak(NamedTuple):
    """flops: operations a second {dtype: dense}; bandwidth: bytes a second of memory."""

    flops: dict[str, float]
    bandwidth: float


# {part of the name that a device gives itself: peak}, the first that fits counts.
# NVIDIA's data sheets of H200, H100 and A100. Products of float32 are in TF32 here.
PEAKS = {
    "H200": Peak({"bfloat16": 989e12, "float32": 494e12}, 4.8e12),
    "H100 PCIe": Peak({"bfloat16": 756e12, "float32": 378e12}, 2.0e12),
    "H100 NVL": Peak({"bfloat16": 835e12, "float32": 417e12}, 3.9e12),
    "H100": Peak({"bfloat16": 989e12, "float32": 494e12}, 3.35e12),
    "A100-SXM4-80GB": Peak({"bfloat16": 312e12, "float32": 156e12}, 2.04e12),
    "A100": Peak({"bfloat16": 312e12, "float32": 156e12}, 1.555e12),
}


def of(device: str) -> Peak | None:
    """The peak of a device by its name, 'NVIDIA H200'; None where it is unknown."""
    return next((peak for part, peak in PEAKS.items() if part in device), None)
