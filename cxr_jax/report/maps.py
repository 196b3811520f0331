"""Where the score of a case comes from, as a layer over its film."""

from __future__ import annotations

import base64

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax.audits.model import looking
from cxr_jax.data import decode
from cxr_jax.data.split import take
from cxr_jax.evaluation import attribution
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.report.material import Material
from cxr_jax.runs import restore
from cxr_jax.state import evaluation_variables
from tfds_builders.common.errors import InputError

_SIDE = 64
_STRONGEST = 0.65  # alpha where a map is highest
_BGR = (0, 94, 213)  # vermilion: told from grey with every kind of colour blindness


def layers(material: Material, rows: np.ndarray) -> tuple[str, dict[int, str]]:
    """(name of the method, {row: PNG with alpha as a data URI}).

    Grad-CAM, and occlusion for a model that has none: of the global score, or of the
    likeliest class. What speaks against is not shown.

    Args:
      rows: int [B], of the test split.

    Raises:
      InputError: the checkpoint is gone or damaged.
    """
    config = material.config
    split = take(material.splits.test, rows, "cases")
    exp, state, _, _ = restore.load(material.workdir, config, split)
    pixels = decode.pictures(
        split, np.arange(split.size), config.data.size, config.data.square
    )
    ops = make_preprocess(config.preprocess.eval, train=False)
    images = ops({"image": jnp.asarray(pixels["image"])})["image"]
    variables = jax.tree.map(jnp.asarray, evaluation_variables(state))
    score = looking.score_of(exp.task)
    try:
        name = "Grad-CAM"
        found = attribution.grad_cam(exp.model, variables, images, score)
    except InputError:  # something is computed between the last map and the head
        name = "occlusion"
        found = attribution.occlusion(exp.model, variables, images, score)
    drawn = [_layer(each) for each in np.asarray(found, np.float64)]
    return name, dict(zip(rows.tolist(), drawn, strict=True))


def _layer(values: np.ndarray) -> str:
    small = cv2.resize(
        np.maximum(values, 0), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA
    )
    share = small / max(small.max(), np.finfo(np.float64).tiny)
    picture = np.empty((_SIDE, _SIDE, 4), np.uint8)
    picture[..., :3] = _BGR
    picture[..., 3] = np.rint(255 * _STRONGEST * share)
    png = cv2.imencode(".png", picture)[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(png).decode()
