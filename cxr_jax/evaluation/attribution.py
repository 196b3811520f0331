"""Where in the picture a figure comes from: three maps, and whether to believe them.

All maps are float32 [B, H, W] of the picture the model sees; what speaks for the figure
is above 0. `score` turns logits [B, num_outputs] into one number an image [B].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax import losses
from cxr_jax.models import heads, init
from tfds_builders.common.errors import InputError

HEADS = ("fc", "classifier", "classifier_1", "head")
HIDDEN = "projection"  # the hidden layer that some heads have
STEPS = 32
TOLERANCE = 1e-3
Score = Callable[[jax.Array], jax.Array]


class _Head(nn.Module):
    """The head alone, under the name that its parameters have."""

    num_outputs: int
    pool: str
    title: str

    @nn.compact
    def __call__(self, x):
        settings = {"pool": self.pool, "rate": 0.0, "train": False}
        return heads.head(x, self.num_outputs, **settings, name=self.title)


def grad_cam(model, variables: dict[str, Any], images, score: Score) -> jax.Array:
    """Grad-CAM on the last feature map, enlarged (Selvaraju et al. 2017, 1610.02391).

    Channels weighted by the mean gradient of the score; what is below 0 is cut off.

    Raises:
      InputError: between the last map and the head something else is computed.
    """
    output = jax.jit(partial(model.apply, train=False))(variables, images)
    small, gap = small_map(model, variables["params"], output, score)
    if small is None or not gap <= TOLERANCE:
        raise _no_grad_cam(model)
    return jax.image.resize(small, images.shape[:3], "bilinear")


def small_map(model, params, output, score: Score):
    """Grad-CAM at the size of the last feature map, and whether to believe it.

    Inside jit or not. params, output: of `model`.

    Returns:
      (float32 [B, h, w], or None where no head follows the map; how far the logits of
      the head on that map are from those of the model, above their rounding: more than
      TOLERANCE where something else is computed in between, and the map is wrong).
    """
    last = last_map(output).astype(jnp.float32)
    title = next((name for name in HEADS if name in params), "")
    if last.ndim != 4 or not title:
        return None, jnp.float32(np.inf)
    head = _Head(model.num_outputs, model.pool, title)
    own = {name: params[name] for name in (title, HIDDEN) if name in params}

    def scored(maps):
        logits: Any = head.apply({"params": own}, maps)
        return score(logits).sum(), logits

    try:
        gradient, logits = jax.grad(scored, has_aux=True)(last)
    except flax.errors.ScopeParamShapeError:
        # A hidden layer makes other channels of the map than the head takes.
        return None, jnp.float32(np.inf)
    gap = jnp.max(jnp.abs(logits - output.logits) - TOLERANCE * jnp.abs(output.logits))
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    return nn.relu((weights * last).sum(axis=-1)), gap


def last_map(output) -> jax.Array:
    """The last feature map of a model's Output: [B, h, w, C], or whatever it has."""
    return list(output.features.values())[-1]


def integrated_gradients(
    model, variables: dict[str, Any], images, score: Score, baseline=None
) -> jax.Array:
    """Gradients along the way from a baseline (Sundararajan et al. 2017, 1703.01365).

    Summed over the picture they are the score less that of the baseline, up to the
    coarseness of 32 steps. baseline: like images; each picture's mean where None.
    """
    if baseline is None:
        mean = images.mean(axis=(1, 2), keepdims=True)
        baseline = jnp.broadcast_to(mean, images.shape)

    def scored(x):
        return score(model.apply(variables, x, train=False).logits).sum()

    @jax.jit
    def add(total, share):
        return total + jax.grad(scored)(baseline + share * (images - baseline))

    total = jnp.zeros_like(images)
    for share in (np.arange(STEPS) + 0.5) / STEPS:  # the middle of every step
        total = add(total, np.float32(share))
    return ((images - baseline) * total / STEPS).sum(axis=-1)


def occlusion(
    model, variables: dict[str, Any], images, score: Score, *, tiles: int = 8
) -> jax.Array:
    """What the score loses when a tile is covered with the picture's mean.

    Zeiler and Fergus 2014, arXiv 1311.2901. tiles: along each side, without overlap.
    """

    @jax.jit
    def scored(x):
        return score(model.apply(variables, x, train=False).logits)

    height, width = images.shape[1:3]
    rows = np.arange(height) * tiles // height
    columns = np.arange(width) * tiles // width
    mean = images.mean(axis=(1, 2), keepdims=True)
    whole = scored(images)
    found = np.zeros(images.shape[:3], np.float32)
    for row in range(tiles):
        for column in range(tiles):
            tile = (rows == row)[:, None] & (columns == column)
            covered = jnp.where(tile[None, :, :, None], mean, images)
            lost = np.asarray(whole - scored(covered))
            found += lost[:, None, None] * tile
    return jnp.asarray(found)


def randomised(model, variables: dict[str, Any], image_shape, seed: int):
    """The same model with drawn parameters: its maps should be others.

    Adebayo et al. 2018, arXiv 1810.03292. Running statistics stay.
    """
    params, _ = init.initialise(model, image_shape, seed)
    return {**variables, "params": params}


def share_inside(maps, masks) -> np.ndarray:
    """Share of each map's positive part that lies in the mask: [B], NaN where none.

    maps: [B, H, W]; masks: bool [B, H, W].
    """
    positive = np.maximum(np.asarray(maps, np.float64), 0)
    total = positive.sum(axis=(1, 2))
    inside = (positive * masks).sum(axis=(1, 2))
    return np.divide(inside, total, out=np.full(len(total), np.nan), where=total > 0)


def _no_grad_cam(model) -> InputError:
    return InputError(
        "Grad-CAM",
        f"{type(model).__name__} computes something between its last map and its head",
        "use integrated gradients or occlusion for this model",
    )


def score_of(task) -> Score:
    """Logits -> what a map explains: the global score, or the likeliest class."""

    def score(logits: jax.Array) -> jax.Array:
        if "scores" in task.example_targets:
            zones = logits.reshape(len(logits), -1, task.levels)
            return losses.expected_score(zones).sum(axis=-1)
        if logits.shape[1] == 1:
            return logits[:, 0]
        if logits.shape[1] == 2:
            return logits[:, 1] - logits[:, 0]
        return logits.max(axis=1)

    return score
