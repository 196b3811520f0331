"""From the start of the process to the end of an epoch, against a PyTorch script.

    python -m benchmarks.end_to_end [--model=resnet18] [--images=2000] [--repeats=3]

Our row is the command a user types (cxr_jax.main), PyTorch's is `torch_training`; both
read 256-pixel PNG, augment alike, and train with AdamW and batches of 32. Seconds from
the start of the process to the first finished step, to the end of epoch 1 and of epoch
5, and processor seconds of all its processes, which hardly depend on what else runs;
cold with an empty compilation cache, warm with that of the previous run. Processes
take turns. Drawing the images is not timed; --folder keeps them. --torch_python: that
of an environment that has torch and torchvision, where this one has not.
"""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile

import cv2
import numpy as np
from absl import flags

from benchmarks import films, following, machine
from benchmarks.following import Moment
from cxr_jax.data import builders, decode
from tfds_builders.common import command, places

DATASET, BATCH, EPOCHS = "brixia/256", 32, 5
# The share of films that fall into train; slightly more are drawn than needed.
_TRAIN = 0.6


def ours(data_dir: str, images: int, model: str, side: int, workdir: str) -> list[str]:
    """Returns our training command."""
    steps = images // BATCH
    settings = {
        "data.dataset": DATASET,
        "data.data_dir": data_dir,
        "data.train": f"train[:{images}]",
        "data.val": "val[:16]",
        "data.test": "test[:16]",
        "data.size": 256,
        "total": f"{EPOCHS * steps} steps",
        "every.log": "1 steps",
        "every.eval": f"{EPOCHS * steps} steps",
        "every.checkpoint": f"{EPOCHS * steps} steps",
        "model.name": model,
        "resamples": 0,
    }
    return [
        *(sys.executable, "-m", "cxr_jax.main", f"--workdir={workdir}"),
        f"--config=configs/brixia.py:size={side}",
        *(f"--config.{key}={value}" for key, value in settings.items()),
    ]


def torchs(python: str, folder: str, model: str, side: int) -> list[str]:
    """Returns PyTorch's command."""
    sizes = (side, BATCH, EPOCHS)
    module = [python, "-m", "benchmarks.torch_training"]
    return [*module, folder, model, *map(str, sizes)]


def export(folder: pathlib.Path, data_dir: str, images: int) -> str:
    """Writes the same training images as PNG files, with scores; -> the folder."""
    target = folder / f"png_{images}"
    if not target.exists():
        partial = target.with_name(target.name + ".partial")
        partial.mkdir(parents=True, exist_ok=True)
        builder = builders.open_builder(DATASET, data_dir)
        split = builders.load(builder, f"train[:{images}]")
        for number, row in enumerate(split.rows.tolist()):
            image = decode.image(split.read(row)["image"], 256, "stretch")
            cv2.imwrite(str(partial / f"{number:06}.png"), image)
        np.save(partial / "scores.npy", split.table["scores"])
        partial.rename(target)
    return str(target)


def run(
    folder: pathlib.Path, model: str, images: int, side: int, repeats: int, python: str
) -> str:
    """Returns the table."""
    drawn = round(images / _TRAIN)
    folder = folder / str(images)
    data_dir = films.draw(folder, DATASET, 256, drawn)
    files, cache = export(folder, data_dir, images), folder / "compiled"
    rows: dict[str, list[list[Moment]]] = {}
    for _ in range(repeats):
        shutil.rmtree(cache, ignore_errors=True)
        with tempfile.TemporaryDirectory() as work:
            theirs = torchs(python, files, model, side)
            each = {
                "ours, cold": ours(data_dir, images, model, side, f"{work}/cold"),
                "PyTorch": theirs,
                "ours, warm": ours(data_dir, images, model, side, f"{work}/warm"),
            }
            for name, arguments in each.items():
                epoch = images // BATCH
                found = following.moments(
                    arguments, (1, epoch, EPOCHS * epoch), str(cache)
                )
                rows.setdefault(name, []).append(found)
    head = f"{'':20}{'first step':>26}{'epoch 1':>26}{f'epoch {EPOCHS}':>26}"
    lines = [f"{model} at {side} px, {images:,} images (n = {repeats})", head]
    for kind in Moment._fields:
        times = {
            name: np.array([[getattr(one, kind) for one in each] for each in found])
            for name, found in rows.items()
        }
        reference = np.median(times["PyTorch"], axis=0)
        for name, found in times.items():
            cells = [
                f"{np.median(column):8.1f} {f'{min(column):.1f}-{max(column):.1f}':>11} "
                f"{np.median(column) / theirs:4.2f}x"
                for column, theirs in zip(found.T, reference, strict=True)
            ]
            lines.append(f"{name}, {kind}".ljust(20) + "".join(cells))
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    values = flags.FLAGS
    with tempfile.TemporaryDirectory() as temporary:
        folder = places.expanded(values.folder or temporary).absolute()
        print(machine.describe(), flush=True)
        sizes = (values.images, values.side, values.repeats)
        print(run(folder, values.model, *sizes, values.torch_python))


if __name__ == "__main__":
    flags.DEFINE_string(
        "model", "resnet18", "model of cxr_jax and of benchmarks.torch_models"
    )
    flags.DEFINE_integer("images", 2_000, "images per epoch")
    flags.DEFINE_integer("side", 128, "side of the model's images in pixels")
    flags.DEFINE_integer("repeats", 3, "rounds")
    flags.DEFINE_string(
        "torch_python", sys.executable, "the Python that runs PyTorch's script"
    )
    flags.DEFINE_string("folder", "", "keep the synthetic images here")
    command.run(main)
