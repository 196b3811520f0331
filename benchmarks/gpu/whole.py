"""A whole training, from the start of the command to an epoch's end: ours, PyTorch's."""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarks import following
from benchmarks.gpu import drawing
from benchmarks.gpu.sizes import Sizes

ROWS = ("ours, cold", "ours, warm", "PyTorch")


def answers(sizes: Sizes, dtype: str, folder: pathlib.Path) -> Iterator[Any]:
    """The seconds of drawing; then of each of ROWS to step 1 and the ends of epochs.

    None for one that failed. Cold: nothing compiled before; warm: the programs of the
    cold one are kept.
    """
    files = drawing.films(folder, sizes.films, sizes.stored)
    yield {"films": sizes.films}
    epoch = sizes.films // sizes.loop_batch
    marks = (1, epoch, sizes.epochs * epoch)
    numbers = (sizes.side, sizes.loop_batch, sizes.epochs)
    shared = [str(files), sizes.loop_model, *map(str, numbers)]
    python = (sys.executable, "-m")
    mine = [*python, "benchmarks.gpu.our_training", *shared, dtype]
    theirs = [*python, "benchmarks.torch_training", *shared, str(sizes.workers), dtype]
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "true"
    with tempfile.TemporaryDirectory() as cache:
        for name in ROWS:
            command = theirs if name == "PyTorch" else mine
            try:
                yield following.seconds(command, marks, cache)
            except SystemExit as error:
                print(error, flush=True)
                yield None
