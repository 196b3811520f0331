"""Draws docs/scored.png from a finished quickstart: python docs/make/scored.py.

Four synthetic test films of rising severity with the model's six zone scores.
"""

import csv
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from cxr_jax.data import source
from tfds_builders.common.zones import LEVELS, ZONES

FILMS = 4
INK, PAPER = "#1b1f24", "#ffffff"


def main(workdir: pathlib.Path) -> None:
    split = source.load(
        source.open_builder("brixia/256", next(workdir.glob("phantom_*"))), "test"
    )
    with (workdir / "predictions/brixia-test.csv").open() as file:
        rows = list(csv.DictReader(file))
    target = np.array([[int(row[f"target_{z}"]) for z in ZONES] for row in rows])
    expected = np.array([[float(row[f"expected_{z}"]) for z in ZONES] for row in rows])
    order = np.argsort(target.sum(axis=1), kind="stable")
    chosen = order[np.linspace(len(order) * 0.1, len(order) * 0.95, FILMS).astype(int)]
    figure, axes = plt.subplots(
        2, FILMS, figsize=(10, 4.1), height_ratios=(2.5, 1), facecolor=PAPER
    )
    for column, i in enumerate(chosen):
        film = source.decode(split.read(int(split.rows[i]))["image"], 256, "pad")
        axes[0, column].imshow(film[..., 0], cmap="gray")
        axes[0, column].set_title(
            f"global score {expected[i].sum():.1f}  (target {target[i].sum()})",
            fontsize=10,
            color=INK,
        )
        draw_scores(axes[1, column], expected[i], target[i])
    for axis in axes.flat:
        axis.axis("off")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.94, wspace=0.04, hspace=0.05)
    figure.savefig(pathlib.Path(__file__).parents[1] / "scored.png", dpi=90)


def draw_scores(axis, expected: np.ndarray, target: np.ndarray) -> None:
    """The six zones as they lie on the film: predicted, with the target in brackets."""
    axis.imshow(
        expected.reshape(2, 3).T,
        cmap="YlOrRd",
        vmin=0,
        vmax=LEVELS,
        aspect="auto",
    )
    for k, zone in enumerate(ZONES):
        axis.text(
            k // 3,
            k % 3,
            f"{zone}  {expected[k]:.1f}  ({target[k]})",
            ha="center",
            va="center",
            fontsize=9,
            color=PAPER if expected[k] > 2.2 else INK,
        )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart"))
