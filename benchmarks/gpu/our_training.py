"""The training of `torch_training` as `cxr_jax` does it, of layers 1 to 3 alone.

    python -m benchmarks.gpu.our_training FOLDER MODEL SIDE BATCH EPOCHS DTYPE

Reads and decodes FOLDER once, keeps the pictures on the device, and trains with the
steps of the package, many in one call. Prints `step N` when step N is done. It writes
no checkpoints and no results: `benchmarks.end_to_end` times the whole command.
"""

import os
import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from benchmarks.gpu.looped import Loop
from cxr_jax.devices import settings


def main(
    folder: str, model: str, side: str, batch: str, epochs: str, dtype: str
) -> None:
    settings.apply()
    pixels = read(pathlib.Path(folder))
    scores = np.load(pathlib.Path(folder) / "scores.npy").astype(np.int32)
    loop = Loop(model, dtype, int(side), int(batch), pixels, scores=scores)
    print("step 1", flush=True)
    step, epoch = 1, len(pixels) // int(batch)
    sent = []
    while step < int(epochs) * epoch:
        end = min(step + loop.most, (step // epoch + 1) * epoch)
        sent.append((end, loop.call(end - step)))
        step = end
        # One call late, but for the end of an epoch, where a training evaluates.
        while len(sent) > (step % epoch > 0):
            number, metrics = sent.pop(0)
            np.asarray(metrics[0]["loss"])  # waits for it
            print(f"step {number}", flush=True)


def read(folder: pathlib.Path) -> np.ndarray:
    """The PNG files of a folder by name, uint8 [N, side, side, 1]."""
    cv2.setNumThreads(1)

    def one(path: pathlib.Path) -> np.ndarray:
        return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(one, sorted(folder.glob("*.png")))))[..., None]


if __name__ == "__main__":
    main(*sys.argv[1:])
