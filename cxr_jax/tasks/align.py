"""Lung alignment: the frame in which the lungs are upright and fill the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax import losses, metrics, rng
from cxr_jax.metrics import HEADLINES
from cxr_jax.models.alignment import sample
from cxr_jax.ops import frame
from cxr_jax.tasks.segment import (
    draw_overlap,
    lung,
    mask_targets,
    of_features,
    overlap,
    overlap_columns,
    overlap_confusion,
    overlap_counts,
)
from cxr_jax.tasks.task import Arrays, Task, choose_loss, read_settings
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import LEVELS, ZONES

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from cxr_jax.data.split import Split

DEFAULTS = {"dice_share": 0.5}


def make_align(config: ConfigDict, class_counts: np.ndarray | None) -> Task:
    """The frame of the lungs in pictures moved by a known transform, as BS-Net learns it.

    The op `lung_frame` takes the frame from the mask of the upright picture, and what
    moves the picture after it moves the frame: `affine` in training, `pose` in an
    evaluation, which moves each picture in the same way every time, drawn from its
    example_id. Config: `loss` is 'frame': `dice_share` of it the Dice loss of the mask
    that the model found, seen in its frame, against the true one in the true frame; the
    rest the distance of the frames' corners, in sides of the picture.
    """
    del class_counts
    settings = read_settings(config, DEFAULTS)

    def by_frame(found, batch, share):
        wanted, aligned = _wanted(found, batch)
        corners = frame.corner_distance(found["theta"], wanted)
        return (
            share * losses.dice(found["aligned_mask"], aligned) + (1 - share) * corners
        )

    losses_by_name = {"frame": (by_frame, {"dice_share": "share"})}
    loss = choose_loss(config, losses_by_name, settings, DEFAULTS)
    return Task(
        name="align",
        num_outputs=len(ZONES) * LEVELS,
        levels=2,
        example_targets={"pose": ((6,), np.float32)},
        targets=_poses,
        loss=loss,
        eval_loss=loss,
        predict=lambda found: {"theta": found["theta"]},
        decide=lambda targets, predictions, patient_ids: {
            "mean_frame": predictions["frame"].mean(axis=0).tolist()
        },
        constant=lambda targets: {},
        metrics=_align_metrics,
        columns=_align_columns,
        confusion=overlap_confusion,
        select="mae_corner",
        headline=HEADLINES["align"],
        reference="The upright frame around the lung masks of the dataset",
        compare=_compare,
        reads=lambda output: of_features(output, "theta", "aligned_mask"),
        draw=_draw,
    )


def _poses(split: Split) -> Arrays:
    """{'pose': [N, 6]} from -1 to 1, of each picture its own, whatever the run."""
    mask_targets(split)
    drawn = [
        rng.generator(0, f"pose/{name}").uniform(-1, 1, 6)
        for name in split.table["example_id"]
    ]
    return {"pose": np.array(drawn, np.float32)}


def _wanted(found, batch) -> tuple[jax.Array, jax.Array]:
    """-> (true frame [B, 2, 3], true mask in it, of the size of the model's)."""
    if "frame" not in batch:
        raise InputError(
            "config.preprocess",
            "does not note the frame of the lungs",
            "put lung_frame after to_float in both strings, before what moves pictures",
        )
    shape = found["aligned_mask"].shape[1:3]
    return batch["frame"], sample(lung(batch), batch["frame"], shape)


def _compare(found, batch) -> dict[str, jax.Array]:
    wanted, aligned = _wanted(found, batch)
    return {**overlap(found["aligned_mask"] > 0.5, aligned > 0.5), "frame": wanted}


def _draw(generator: np.random.Generator, size: int) -> Arrays:
    frames = frame.IDENTITY + generator.normal(0, 0.1, (2, size, 2, 3))
    theta, wanted = frames.astype(np.float32)
    counts = draw_overlap(generator, size)
    return {**counts, "theta": theta, "frame": wanted}


def _errors(theta, wanted) -> tuple[np.ndarray, np.ndarray]:
    """Distance of the corners in sides, and of the angle in degrees: [N]."""
    theta, wanted = (jnp.asarray(x, jnp.float32) for x in (theta, wanted))
    turn = frame.rotation(theta) - frame.rotation(wanted)
    return np.asarray(frame.corner_distance(theta, wanted)), np.asarray(turn)


def _align_metrics(split, targets, predictions, decision, resamples):
    weights, wanted = resamples.weights, predictions["frame"]
    errors = _errors(predictions["theta"], wanted)
    found = metrics.alignment_metrics(*errors, weights)
    mean = np.broadcast_to(np.array(decision["mean_frame"], np.float32), wanted.shape)
    constant = metrics.alignment_metrics(*_errors(mean, wanted), weights)
    found |= {f"{name}_constant": estimate for name, estimate in constant.items()}
    found |= metrics.overlap_metrics(**overlap_counts(predictions), weights=weights)
    found["loss"] = metrics.mean_loss(predictions["loss"], weights)
    return found


def _align_columns(targets: Arrays, predictions: Arrays) -> dict[str, Any]:
    corner, turn = _errors(predictions["theta"], predictions["frame"])
    columns = {"corner_error": corner, "rotation_error": turn}
    for name in ("theta", "frame"):
        for i, axis in enumerate("xy"):
            for j, of in enumerate(("x", "y", "0")):
                columns[f"{name}_{axis}{of}"] = predictions[name][:, i, j]
    return columns | overlap_columns(targets, predictions)
