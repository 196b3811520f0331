"""Overlap of lung masks and errors of lung frames, from numbers of each image.

Masks themselves are not kept: pixels predicted, pixels of the target, and those of
both are enough.
"""

from functools import partial

import numpy as np

from cxr_jax.metrics import checks
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate

EMPTY = "all masks are empty"


def per_image_overlap(common, predicted, target) -> dict[str, np.ndarray]:
    """{'dice', 'iou'} of each image, [N] counts of pixels each; two empty masks give 1.

    Dice 1945, doi 10.2307/1932409; Jaccard 1912, doi 10.1111/j.1469-8137.1912.tb05611.x.
    """
    common, both = np.asarray(common, np.float64), predicted + np.float64(target)
    found = {}
    for name, above, below in (
        ("dice", 2 * common, both),
        ("iou", common, both - common),
    ):
        found[name] = np.divide(above, below, out=np.ones_like(below), where=below > 0)
    return found


def overlap_metrics(common, predicted, target, weights) -> dict[str, Estimate]:
    """Dice and intersection over union.

    common, predicted, target: [N] pixels of each image that are lung in both, in the
      prediction and in the target.
    dice, iou: means over images; *_pooled: of the pixels of all images together.
    """
    common, predicted, target = (
        np.asarray(x, np.float64) for x in (common, predicted, target)
    )
    _check_counts(common, predicted, target)
    metrics = {
        name: bootstrap.mean(values, weights)
        for name, values in per_image_overlap(common, predicted, target).items()
    }
    both = predicted + target
    for name, above, below in (
        ("dice_pooled", 2 * common, both),
        ("iou_pooled", common, both - common),
    ):
        statistic = partial(weighted.ratio, above, below)
        metrics[name] = bootstrap.estimate(statistic, weights, undefined=EMPTY)
    return metrics


def majority_mask(coarse) -> np.ndarray:
    """What is lung in at least half of the masks [N, h, w]: bool [h, w]."""
    return np.asarray(coarse, np.float64).mean(axis=0) >= 0.5


def majority_mask_metrics(coarse, mask, weights) -> dict[str, Estimate]:
    """Dice and IoU of the predictor whose mask is always `mask` [h, w].

    coarse: [N, h, w], the targets on that grid.
    """
    coarse, mask = np.asarray(coarse, bool), np.asarray(mask, bool)
    checks.shape("mask", mask, coarse.shape[1:])
    overlap = per_image_overlap(
        (coarse & mask[None]).sum((1, 2)),
        np.full(len(coarse), mask.sum()),
        coarse.sum((1, 2)),
    )
    return {
        f"{name}_constant": bootstrap.mean(values, weights)
        for name, values in overlap.items()
    }


def alignment_metrics(corner, turn, weights) -> dict[str, Estimate]:
    """Mean absolute errors of a frame.

    mae_corner: mean distance of its corners, in percent of the picture's side.
    mae_rotation: of its angle, in degrees.
    corner: [N] in sides. turn: [N] in degrees, signed.
    """
    turn = (np.asarray(turn, np.float64) + 180) % 360 - 180
    errors = {"mae_corner": 100 * np.asarray(corner, np.float64), "mae_rotation": turn}
    for name, values in errors.items():
        checks.finite(name, values)
    return {
        name: bootstrap.mean(np.abs(values), weights) for name, values in errors.items()
    }


def pixel_confusion(common, predicted, target, pixels) -> dict:
    """{'classes', 'target_by_called'} over the pixels of all images; [N] counts each."""
    hits, called, lung, every = (
        int(np.sum(x, dtype=np.int64)) for x in (common, predicted, target, pixels)
    )
    cells = [[every - called - lung + hits, called - hits], [lung - hits, hits]]
    return {"classes": ["outside", "lung"], "target_by_called": cells}


def _check_counts(common, predicted, target) -> None:
    for name, values in (("predicted", predicted), ("target", target)):
        checks.shape(name, values, common.shape)
        checks.finite(name, values)
        if (common > values).any():
            raise ValueError(f"more pixels are common than are {name}")
