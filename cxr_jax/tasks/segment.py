"""Lung segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax import losses, metrics
from cxr_jax.metrics import HEADLINES
from cxr_jax.models import Output
from cxr_jax.models.alignment import resize
from cxr_jax.tasks.task import Arrays, Task, choose_loss, read_settings
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import LEVELS, ZONES

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from cxr_jax.data.split import Split

# Side of the grid on which the constant predictor is compared.
COARSE = 32
DEFAULTS = {"dice_share": 0.5}
LOSSES = {"dice_bce": (losses.dice_bce, {"dice_share": "share"})}


def make_segment(config: ConfigDict, class_counts: np.ndarray | None) -> Task:
    """The lung mask of each image; a model with a feature 'mask' learns it.

    Config: `loss` is 'dice_bce', with `dice_share` of it the Dice loss; the dataset has
    masks and `config.data.masks` is on. Masks move with the images, and a pixel is lung
    where more than half of it is. Of predictions only counts of pixels are kept, and
    the target on a grid of 32 x 32, from which the constant predictor is made: what is
    lung in half of val's images.
    """
    del class_counts
    settings = read_settings(config, DEFAULTS)
    per_image = choose_loss(config, LOSSES, settings, DEFAULTS)

    def loss(logits, batch):
        return per_image(logits, lung(batch))

    return Task(
        name="segment",
        # Those of the score: one model for all stages of BS-Net.
        num_outputs=len(ZONES) * LEVELS,
        levels=2,
        example_targets={},
        targets=mask_targets,
        loss=loss,
        eval_loss=loss,
        predict=lambda logits: {},
        decide=_decide,
        constant=lambda targets: {},
        metrics=_segment_metrics,
        columns=overlap_columns,
        confusion=overlap_confusion,
        select="dice",
        headline=HEADLINES["segment"],
        reference="The lung masks of the dataset",
        compare=_compare,
        reads=lambda output: of_features(output, "mask"),
        draw=_draw,
    )


def lung(batch) -> jax.Array:
    """1 where a pixel is lung, else 0: float32 [B, H, W, 1]."""
    if "mask" not in batch:
        raise InputError(
            "config.data.masks",
            "is off, and the task is about lung masks",
            "set --config.data.masks=True",
        )
    return (batch["mask"] > 0.5).astype(jnp.float32)


def of_features(output: Output, *names: str):
    """What a model finds beside the logits: the feature, or several as a dict."""
    missing = [name for name in names if name not in output.features]
    if missing:
        raise InputError(
            "config.model.name",
            f"the model does not output {missing[0]!r}",
            "choose bsnet",
        )
    found = {name: output.features[name] for name in names}
    if len(names) > 1:
        return found
    (only,) = found.values()
    return only


def mask_targets(split: Split) -> Arrays:
    """None: masks are pictures of the batch. Refuses a split that has none."""
    if "mask" not in split.pictures:
        raise InputError(
            f"{split.dataset}:{split.split}",
            "has no lung masks",
            "set config.data.dataset=covid_radiography/segmentation and "
            "config.data.masks=True",
        )
    return {}


def overlap(called, target) -> dict[str, jax.Array]:
    """Counts of pixels, int32 [B]: of bool masks [B, H, W, 1]."""
    axes = (1, 2, 3)
    pixels = called.shape[1] * called.shape[2]
    return {
        "common": (called & target).sum(axes, dtype=jnp.int32),
        "predicted": called.sum(axes, dtype=jnp.int32),
        "target": target.sum(axes, dtype=jnp.int32),
        "pixels": jnp.full(len(called), pixels, jnp.int32),
    }


def _compare(logits, batch) -> dict[str, jax.Array]:
    target = lung(batch)
    coarse = resize(target, (COARSE, COARSE))[..., 0] > 0.5
    return {**overlap(logits > 0, target > 0.5), "coarse": coarse}


def draw_overlap(generator: np.random.Generator, size: int) -> Arrays:
    """Counts of pixels as if a mask had been drawn for each image."""
    common, more, missed = generator.integers(1, 100, (3, size))
    return {
        "loss": generator.uniform(size=size),
        "common": common,
        "predicted": common + more,
        "target": common + missed,
        "pixels": np.full(size, 1000),
    }


def _draw(generator: np.random.Generator, size: int) -> Arrays:
    coarse = generator.uniform(size=(size, COARSE, COARSE)) < 0.5
    return {**draw_overlap(generator, size), "coarse": coarse}


def _decide(targets: Arrays, predictions: Arrays, patient_ids) -> dict[str, Any]:
    del targets, patient_ids
    mask = metrics.majority_mask(predictions["coarse"])
    return {"majority_mask": ["".join(".#"[int(c)] for c in row) for row in mask]}


def _segment_metrics(split, targets, predictions, decision, resamples):
    weights = resamples.weights
    found = metrics.overlap_metrics(**overlap_counts(predictions), weights=weights)
    mask = np.array([list(row) for row in decision["majority_mask"]]) == "#"
    found |= metrics.majority_mask_metrics(predictions["coarse"], mask, weights)
    found["loss"] = metrics.mean_loss(predictions["loss"], weights)
    return found


def overlap_counts(predictions: Arrays) -> Arrays:
    """Pixels of each image that are lung in both masks, and in each of them."""
    return {name: predictions[name] for name in ("common", "predicted", "target")}


def overlap_columns(targets: Arrays, predictions: Arrays) -> dict[str, Any]:
    """Counts of pixels, Dice and intersection over union of each image."""
    counts = overlap_counts(predictions)
    return counts | metrics.per_image_overlap(**counts)


def overlap_confusion(targets, predictions, decision) -> dict[str, Any]:
    """Of pixels: outside and lung."""
    names = ("common", "predicted", "target", "pixels")
    return metrics.pixel_confusion(*(predictions[name] for name in names))
