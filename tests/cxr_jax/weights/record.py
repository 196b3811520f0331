"""Writes `recorded/`: what torchvision, timm and Keras compute, for machines without.

python tests/cxr_jax/weights/record.py, where they are installed (`record.py
torchxrayvision`: that package alone, which is installed without the others). A file holds the names
and shapes of the package's weights, its logits and a part of two of its maps; the
weights themselves are drawn again from the names (parity_cases.draw). names.npz holds the
names and shapes alone of further models.
"""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import sys

import numpy as np
import parity_real
from parity_cases import QUICK, SLOW, Case, Result, draw

from cxr_jax.rng import generator

FOLDER = pathlib.Path(__file__).resolve().parent / "recorded"
_FURTHER = {
    ("torch", "vgg16"),
    ("torch", "efficientnet_b4"),
    ("keras", "vgg16"),
    ("keras", "vgg19"),
    ("keras", "densenet121"),
    ("keras", "efficientnet_b0"),
    ("keras", "convnext_tiny"),
}
XRAYVISION = FOLDER / "torchxrayvision-densenet121-64.npz"
# One case of each, whatever the size of its pictures.
NAMED = list({(case.format, case.ours): case for case in (*QUICK, *SLOW)}.values())
NAMED = [case for case in NAMED if (case.format, case.ours) in _FURTHER]
# Rows, columns and channels of a map that are kept.
_KEPT = (4, 4, 32)


def path(case: Case) -> pathlib.Path:
    return FOLDER / f"{case.title}.npz"


def part(feature: np.ndarray) -> np.ndarray:
    """[2, h, w, C] -> [2, <= 4, <= 4, <= 32], spread over the whole."""
    for axis, most in enumerate(_KEPT, 1):
        step = -(-feature.shape[axis] // most)
        feature = feature[(slice(None),) * axis + (slice(None, None, step),)]
    return feature


def write(case: Case) -> None:
    result = parity_real.run(case)
    versions = {case.package: importlib.metadata.version(case.package)}
    np.savez_compressed(
        path(case),
        about=json.dumps({"versions": versions, "shapes": result.shapes}),
        logits=result.logits,
        drawn=first_drawn(case, result.shapes),
        **{name: part(feature) for name, feature in result.features.items()},
    )


def write_names() -> None:
    """Of one model of each Keras family that is not recorded, and of torch's VGG."""
    shapes = {case.title: parity_real.shapes(case) for case in NAMED}
    np.savez_compressed(FOLDER / "names.npz", shapes=json.dumps(shapes))


def read_names(case: Case) -> dict[str, tuple[int, ...]]:
    with np.load(FOLDER / "names.npz") as stored:
        shapes = json.loads(str(stored["shapes"]))[case.title]
    return {name: tuple(shape) for name, shape in shapes.items()}


def films() -> np.ndarray:
    """[2, 64, 64] uint8, what torchxrayvision is shown: one of squares, one dark."""
    squares = generator(0, "films").integers(0, 256, (2, 8, 8), np.uint8)
    found = squares.repeat(8, axis=1).repeat(8, axis=2)
    found[1] //= 8
    return found


def write_xrayvision() -> None:
    state, logits, outputs = parity_real.xrayvision(films())
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    version = importlib.metadata.version("torchxrayvision")
    about = {"version": version, "shapes": shapes, "outputs": outputs}
    np.savez_compressed(XRAYVISION, about=json.dumps(about), logits=logits)


def read_xrayvision() -> tuple[dict[str, np.ndarray], np.ndarray, tuple[str, ...]]:
    """-> (state dict as it was drawn, logits [2, 18], names of the outputs)."""
    with np.load(XRAYVISION) as stored:
        about, logits = json.loads(str(stored["about"])), stored["logits"]
    shapes = {name: tuple(shape) for name, shape in about["shapes"].items()}
    counters = {name for name in shapes if name.endswith("num_batches_tracked")}
    arrays = draw({n: s for n, s in shapes.items() if n not in counters}, "torch")
    arrays["features.conv0.weight"] /= 1024
    arrays |= {name: np.zeros((), np.int64) for name in counters}
    return arrays, logits, tuple(about["outputs"])


def first_drawn(case: Case, shapes: dict[str, tuple[int, ...]]) -> np.ndarray:
    """The first numbers of one weight, to tell a change of numpy from one of ours."""
    name = next(iter(shapes))
    return draw({name: shapes[name]}, case.format)[name].ravel()[:8]


def read(case: Case) -> tuple[Result, np.ndarray]:
    """-> (result, with parts of the maps; numbers of `first_drawn`)."""
    with np.load(path(case)) as stored:
        about = json.loads(str(stored["about"]))
        features = {name: stored[name] for name in case.features}
        shapes = {name: tuple(shape) for name, shape in about["shapes"].items()}
        return Result(shapes, stored["logits"], features), stored["drawn"]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    write_xrayvision()
    if sys.argv[1:] == ["torchxrayvision"]:
        sys.exit()
    for case in QUICK:
        if case.recorded:
            write(case)
            print(f"{path(case).name}: {path(case).stat().st_size:,} bytes")
    write_names()
