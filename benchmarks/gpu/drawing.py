"""Drawn films as PNG files, without a dataset: what both trainings read."""

from __future__ import annotations

import os
import pathlib
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np

from cxr_jax import rng
from tfds_builders.common.images import encode_png
from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.scores import draw_patient, draw_scores

# Films that are drawn; the others are these, mirrored, turned and exposed otherwise.
DRAWN = 400


def films(folder: pathlib.Path, count: int, side: int) -> pathlib.Path:
    """The folder of `count` files and scores.npy, as `torch_training` reads them."""
    target = folder / f"films_{count}_{side}"
    if target.exists():
        return target
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    drawn = min(count, DRAWN)
    work = [(partial, number, drawn, count, side) for number in range(drawn)]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        scores = [each for some in pool.map(_draw, work, chunksize=8) for each in some]
    np.save(partial / "scores.npy", np.array([s for _, s in sorted(scores)], np.int64))
    partial.rename(target)
    return target


def _draw(work) -> list[tuple[int, list[int]]]:
    """Writes film `number` and all that are made of it; -> their numbers and scores."""
    cv2.setNumThreads(1)
    folder, number, drawn, count, side = work
    generator = rng.generator(0, f"film {number}")
    levels = draw_scores(draw_patient(generator), generator)
    chest = draw_chest(generator)
    picture = draw_film(chest, levels, generator, side, square=True).picture
    found = []
    for each in range(number, count, drawn):
        shade = generator.uniform(0.8, 1.0)
        turned = np.clip(
            picture * shade + generator.normal(0, 0.01, picture.shape), 0, 1
        )
        scores = list(map(int, levels))
        if generator.random() < 0.5:
            turned, scores = turned[:, ::-1], scores[3:] + scores[:3]
        pixels = np.ascontiguousarray(np.rint(255 * turned).astype(np.uint8))
        (folder / f"{each:06}.png").write_bytes(encode_png(pixels))
        found.append((each, scores))
    return found
