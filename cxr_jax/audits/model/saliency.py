"""Where a model looks: shares of its maps in the lungs and on the border.

Against the share of the area, which is what a map without meaning has there; and against
the maps of the same model with random weights (Adebayo et al. 2018, arXiv 1810.03292).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from cxr_jax.evaluation import attribution
from cxr_jax.ops.masking import BORDER
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.state import evaluation_variables
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate, json_number
from cxr_jax.stats.patients import Rests
from tfds_builders.common.errors import InputError

# So many pictures are enough for a mean, and maps cost up to 65 passes each.
MOST = 32


class Maps(NamedTuple):
    """One kind of map over some test pictures.

    Attributes:
      method: 'Grad-CAM', 'integrated gradients' or 'occlusion'.
      lungs, border: share of what speaks for the figure that lies there; None where
        there are no masks.
      lungs_area, border_area: share of the picture.
      likeness: mean rank correlation with the maps of random weights.
    """

    method: str
    lungs: Estimate | None
    lungs_area: float
    border: Estimate
    border_area: float
    likeness: float


def measure(
    exp, state, split, lungs: np.ndarray | None, counts_seed: int
) -> list[Maps]:
    """Maps of the first pictures of a split.

    Args:
      exp, state: of the run.
      split: with `pixels`.
      lungs: bool [N, S, S, 1] or None.
      counts_seed: of the bootstrap.
    """
    some = slice(0, min(MOST, split.size))
    eval_ops = make_preprocess(exp.config.preprocess.eval, train=False)
    images = eval_ops({"image": jnp.asarray(split.pixels["image"][some])})["image"]
    variables = jax.tree.map(jnp.asarray, evaluation_variables(state))
    random = attribution.randomised(
        exp.model, variables, exp.image_shape, exp.config.seed + 1
    )
    masks = None if lungs is None else _resized(lungs[some], images.shape[1:3])
    frame = _frame(images.shape[1:3])
    patients = split.table["patient_id"][some]
    counts = bootstrap.weights(patients, 1000, counts_seed)
    found = []
    for method, make in (
        ("Grad-CAM", attribution.grad_cam),
        ("integrated gradients", attribution.integrated_gradients),
        ("occlusion", attribution.occlusion),
    ):
        try:
            maps, others = (
                np.asarray(make(exp.model, v, images, attribution.score_of(exp.task)))
                for v in (variables, random)
            )
        except InputError:  # no Grad-CAM for this model: the others stand alone
            continue
        found.append(
            Maps(
                method,
                None if masks is None else _mean_share(maps, masks, counts),
                float("nan") if masks is None else float(masks.mean()),
                _mean_share(maps, np.broadcast_to(frame, maps.shape), counts),
                float(frame.mean()),
                likeness(maps, others),
            )
        )
    return found


def likeness(maps: np.ndarray, others: np.ndarray) -> float:
    """Mean rank correlation of the sizes of two maps, picture by picture."""
    pairs = zip(np.abs(maps), np.abs(others), strict=True)
    found = [
        stats.spearmanr(one.ravel(), other.ravel()).statistic
        for one, other in pairs
        if np.ptp(one) > 0 and np.ptp(other) > 0
    ]
    return float(np.mean(found)) if found else float("nan")


def to_json(found: Maps) -> dict[str, Any]:
    """As model_audit.json has it."""
    return {
        "method": found.method,
        "lungs": None if found.lungs is None else found.lungs.to_json(),
        "lungs_area": None if found.lungs is None else found.lungs_area,
        "border": found.border.to_json(),
        "border_area": found.border_area,
        "likeness_to_random": json_number(found.likeness),
    }


def _mean_share(maps, masks, counts) -> Estimate:
    share = attribution.share_inside(maps, masks)
    known = np.isfinite(share)
    values = np.where(known, share, 0.0)

    def mean(weights):
        return weighted.ratio(values, known, weights)

    found = bootstrap.estimate(
        Rests(mean, (known,)), counts, undefined="no map has anything above 0"
    )
    return found._replace(n=int(known.sum()))


def _resized(lungs: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.stack(
        [
            cv2.resize(
                mask[..., 0].astype(np.uint8),
                shape[::-1],
                interpolation=cv2.INTER_NEAREST,
            )
            for mask in lungs
        ]
    ).astype(bool)


def _frame(shape: tuple[int, int]) -> np.ndarray:
    inside = np.zeros(shape, bool)
    height, width = (max(1, round(side * BORDER)) for side in shape)
    inside[height:-height, width:-width] = True
    return ~inside
