"""Which two views are of one picture: representations from pictures without labels.

SimCLR: Chen et al. 2020, arXiv 2002.05709. Every picture of a batch is augmented twice,
and the model has to find the other view of a picture among those of all others. Labels
are not looked at, so any dataset serves; `config.init_from` gives the trained trunk to
another task.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cxr_jax import metrics
from cxr_jax.metrics import HEADLINES, checks
from cxr_jax.stats import bootstrap
from cxr_jax.stats.bootstrap import Resamples
from cxr_jax.stats.estimate import Estimate, point
from cxr_jax.tasks.task import Arrays, Task, choose_loss, read_settings

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from cxr_jax.data.split import Split

DEFAULTS = {"temperature": 0.5}
VIEWS = 2

# Numbers that a picture becomes after the projection, as in the paper.
WIDTH = 128

# Pictures among which the other view is sought in an evaluation: a larger batch would
# be a harder question, so this depends neither on the batch size nor on the split.
BLOCK = 64


def make_contrast(config: ConfigDict, class_counts: np.ndarray | None) -> Task:
    """The other view of every picture, of a model with `model.pool='projection'`.

    Config: `loss` is 'nt_xent', `temperature` its temperature.
    """
    del class_counts
    settings = read_settings(config, DEFAULTS)
    losses_by_name = {"nt_xent": (nt_xent, {"temperature": "temperature"})}
    of_views = choose_loss(config, losses_by_name, settings, DEFAULTS)

    def loss(logits, batch):
        del batch
        return of_views(by_picture(logits)).mean(axis=1)

    def judge(predictions):
        return judged(predictions["views"], of_views)

    def columns(targets, predictions):
        del targets
        losses, found = judge(predictions)
        return {"loss": losses, "retrieved": found}

    return Task(
        name="contrast",
        num_outputs=WIDTH,
        levels=0,
        example_targets={},
        targets=lambda split: {},
        loss=loss,
        eval_loss=loss,
        predict=lambda logits: {"views": unit(by_picture(logits))},
        decide=lambda targets, predictions, patient_ids: {},
        constant=lambda targets: {},
        metrics=partial(_metrics, judge=judge),
        columns=columns,
        confusion=lambda targets, predictions, decision: {},
        select="loss",
        headline=HEADLINES["contrast"],
        reference="None: the views of one picture belong together",
        views=VIEWS,
    )


def by_picture(logits: jax.Array) -> jax.Array:
    """[2 B, D] with the views of a picture side by side -> [B, 2, D]."""
    return logits.reshape(-1, VIEWS, logits.shape[-1])


def unit(vectors: jax.Array | np.ndarray) -> jax.Array:
    """Of length 1 along the last axis, float32; a vector of zeros stays one."""
    vectors = jnp.asarray(vectors, jnp.float32)
    squares = jnp.sum(vectors * vectors, axis=-1, keepdims=True)
    return vectors * lax.rsqrt(jnp.maximum(squares, 1e-12))


def nt_xent(vectors: jax.Array, *, temperature: float) -> jax.Array:
    """Normalised temperature-scaled cross-entropy of every view: float32 [B, 2].

    The cross-entropy of finding the other view of a picture, by cosine similarity over
    the temperature, among the 2 B - 1 other views of the batch. log(2 B - 1) is that of
    vectors that are all the same.

    vectors: [B, 2, D], of any length.
    """
    flat = unit(vectors).reshape(-1, vectors.shape[-1])
    # HIGHEST: accelerators else round the factors of a product to fewer bits.
    cosines = jnp.matmul(flat, flat.T, precision=lax.Precision.HIGHEST) / temperature
    others = ~jnp.eye(len(flat), dtype=bool)
    all_others = jax.nn.logsumexp(cosines, axis=1, where=others)
    one, other = flat[0::2], flat[1::2]
    own = jnp.sum(one * other, axis=-1) / temperature
    return all_others.reshape(-1, VIEWS) - own[:, None]


def judged(vectors: np.ndarray, of_views) -> tuple[np.ndarray, np.ndarray]:
    """-> (loss [N], share of a picture's two views whose nearest is the other [N]).

    In blocks of `BLOCK` pictures in the order of the split, or of all where there are
    fewer. The last block is filled up from the start of the split; each picture is
    counted once.

    Args:
      vectors: [N, 2, D].
      of_views: of `nt_xent`.
    """
    vectors = np.asarray(vectors, np.float32)
    size = min(BLOCK, len(vectors))
    losses, found = np.empty(len(vectors)), np.empty(len(vectors))
    for start in range(0, len(vectors), size):
        block = vectors[np.arange(start, start + size) % len(vectors)]
        new = min(size, len(vectors) - start)
        here = slice(start, start + new)
        losses[here] = np.asarray(of_views(block)).mean(axis=1)[:new]
        found[here] = retrieved(block).mean(axis=1)[:new]
    return losses, found


def retrieved(vectors: np.ndarray) -> np.ndarray:
    """Whether the nearest of all other views is the picture's own: [B, 2]."""
    flat = np.asarray(unit(vectors)).reshape(-1, vectors.shape[-1])
    cosines = flat @ flat.T
    np.fill_diagonal(cosines, -np.inf)
    own = np.arange(len(flat)) ^ 1
    # Strictly nearest: vectors that are all the same have found nothing.
    rivals = cosines.copy()
    rivals[np.arange(len(flat)), own] = -np.inf
    nearer = cosines[np.arange(len(flat)), own] > rivals.max(axis=1)
    return nearer.reshape(-1, VIEWS)


def _metrics(
    split: Split,
    targets: Arrays,
    predictions: Arrays,
    decision,
    resamples: Resamples,
    *,
    judge,
) -> dict[str, Estimate]:
    """`retrieval` is the share of views whose nearest is the other one; chance 1 / 127.

    `loss_constant` is that of vectors that are all the same.
    """
    del targets, decision
    checks.finite("the projections of the views", predictions["views"])
    losses, found = judge(predictions)
    constant = math.log(2 * min(BLOCK, split.size) - 1)
    return {
        "loss": metrics.mean_loss(losses, resamples.weights),
        "retrieval": bootstrap.mean(found, resamples.weights, is_share=True),
        "loss_constant": point(
            constant, split.size, "no interval: the same whatever the pictures"
        ),
    }
