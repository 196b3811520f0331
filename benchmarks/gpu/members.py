"""K members in one program, against K times one: once they run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.sizes import Sizes


def ours(sizes: Sizes, members: int, dtype: str) -> Iterator[dict[str, Any]]:
    """{'first': seconds to compile, 'step': seconds of a step of all members}."""
    from benchmarks.gpu.looped import Loop, noise

    pixels = noise(sizes.pictures, sizes.member_side)
    loop = Loop(
        sizes.member_model,
        dtype,
        sizes.member_side,
        sizes.member_batch,
        pixels,
        members,
    )
    loop.calls(1)
    start = time.perf_counter()
    loop.calls(sizes.calls)
    took = time.perf_counter() - start
    yield {"first": loop.first, "step": took / (sizes.calls * loop.most)}
