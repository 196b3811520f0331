"""Test cases worth a look: best, worst and least certain, with attribution maps."""

from __future__ import annotations

import base64
from typing import NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax.data import decode
from cxr_jax.data.fingerprints import as_8bit
from cxr_jax.data.split import take
from cxr_jax.evaluation import attribution
from cxr_jax.metrics import decide
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.report.material import Material
from cxr_jax.report.table import Table
from cxr_jax.runs import restore
from cxr_jax.state import evaluation_variables
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import LEVELS, ZONES

OF_EACH = 6
SIDE = 256
_QUALITY = 80
_MAP_SIDE = 64
_STRONGEST = 0.65  # alpha where a map is highest
_BGR = (0, 94, 213)  # vermilion: distinct from grey with every kind of colour blindness
KINDS = {
    "best": "Closest to the reference",
    "worst": "Farthest from the reference",
    "uncertain": "Least certain",
}


class Case(NamedTuple):
    """One test image.

    Attributes:
      row: index within the split.
      example_id: from the dataset.
      words: the reference and the prediction.
      zones: (letter, x and y in 0..1, predicted, reference) of each of six, or empty.
      picture: a JPEG as a data URI.
      layer: the attribution map, a PNG as a data URI; empty without one.
    """

    row: int
    example_id: str
    words: str
    zones: list[tuple[str, float, float, float, int]]
    picture: str
    layer: str = ""


class Cases(NamedTuple):
    """The cases of a report.

    Attributes:
      shown: {kind of KINDS: cases}.
      method: of attribution; empty if there are no maps.
      note: why there are no maps.
    """

    shown: dict[str, list[Case]]
    method: str = ""
    note: str = ""


def choose(labels: np.ndarray, probs: np.ndarray) -> dict[str, np.ndarray]:
    """Returns {kind: rows}, at most OF_EACH of each; ties go to the first.

    Args:
      labels: [N, G].
      probs: [N, G, K]. The error is that of the expected score for zones, and 1 minus
        the probability of the true class for classes; uncertainty is the entropy.
    """
    if labels.shape[1] == 1:
        true = np.take_along_axis(probs[:, 0], labels, axis=1)[:, 0]
        error = 1 - true
    else:
        expected = probs @ np.arange(probs.shape[-1])
        error = np.abs(expected - labels).mean(axis=1)
    logs = np.log(np.maximum(probs, np.finfo(np.float64).tiny))
    entropy = -(probs * logs).sum(axis=-1).mean(axis=1)
    return {
        "best": np.argsort(error, kind="stable")[:OF_EACH],
        "worst": np.argsort(-error, kind="stable")[:OF_EACH],
        "uncertain": np.argsort(-entropy, kind="stable")[:OF_EACH],
    }


def make(material: Material, side: int = SIDE) -> Cases:
    """Renders the cases; none for a task without probabilities."""
    if material.labels is None:
        return Cases({})
    chosen = choose(material.labels, material.probs)
    rows = np.unique(np.concatenate(list(chosen.values())))
    try:
        method, layers = _layers(material, rows)
        note = ""
    except InputError as error:  # the rest of a report needs no checkpoint
        method, layers, note = "", {}, f"No attribution maps: {error}"
    cases = {
        row: _case(material, row, side)._replace(layer=layers.get(row, ""))
        for row in rows.tolist()
    }
    shown = {kind: [cases[row] for row in some] for kind, some in chosen.items()}
    return Cases(shown, method, note)


def table(found: dict[str, list[Case]]) -> Table:
    """The chosen cases and their predictions."""
    rows = [
        (KINDS[kind], each.example_id, each.words)
        for kind, some in found.items()
        for each in some
    ]
    return Table("cases", "Cases", ("", "example_id", "prediction and reference"), rows)


def picture(material: Material, row: int, side: int) -> np.ndarray:
    """uint8 [side, side]: the image as decoded for the model, before preprocessing."""
    split = material.splits.test
    stored = split.read(int(split.rows[row]))["image"]
    shown = decode.image(stored, side, material.config.data.square)
    return as_8bit(shown[..., 0])


def _case(material: Material, row: int, side: int) -> Case:
    labels, probs = material.labels[row], material.probs[row]
    pixels = picture(material, row, side)
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    jpeg = cv2.imencode(".jpg", pixels, options)[1].tobytes()
    example = material.splits.test.table["example_id"][row]
    uri = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    if len(labels) == 1:
        return Case(row, example, _of_class(material, row), [], uri)
    expected = probs @ np.arange(LEVELS)
    words = f"global score {expected.sum():.1f}, reference {labels.sum()}"
    # A plain grid: the position of the lungs is not known here.
    zones = [
        (
            zone,
            (0.28, 0.72)[z // 3],
            (0.22, 0.5, 0.78)[z % 3],
            float(expected[z]),
            int(labels[z]),
        )
        for z, zone in enumerate(ZONES)
    ]
    return Case(row, example, words, zones, uri)


def _of_class(material: Material, row: int) -> str:
    """The predicted class and the label; two classes use the threshold."""
    classes, probs = material.task.probabilities.classes, material.probs[row]
    thresholds = np.array(material.results["best"]["decision"]["thresholds"])
    label, called = int(material.labels[row, 0]), int(decide(probs, thresholds)[0])
    text = f"predicted {classes[called]} ({probs[0, called]:.2f})"
    if called == label:
        return f"{text}, as labelled"
    return f"{text}, labelled {classes[label]}"


def _layers(material: Material, rows: np.ndarray) -> tuple[str, dict[int, str]]:
    """(name of the method, {row: PNG with alpha as a data URI}).

    Grad-CAM, or occlusion where the model does not allow it, for the global score or
    the likeliest class. Negative contributions are not shown.

    Args:
      rows: int [B], within the test split.

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
    score = attribution.score_of(exp.task)
    try:
        name = "Grad-CAM"
        found = attribution.grad_cam(exp.model, variables, images, score)
    except InputError:  # there are layers between the last feature map and the head
        name = "occlusion"
        found = attribution.occlusion(exp.model, variables, images, score)
    drawn = [_layer(each) for each in np.asarray(found, np.float64)]
    return name, dict(zip(rows.tolist(), drawn, strict=True))


def _layer(values: np.ndarray) -> str:
    small = cv2.resize(
        np.maximum(values, 0), (_MAP_SIDE, _MAP_SIDE), interpolation=cv2.INTER_AREA
    )
    share = small / max(small.max(), np.finfo(np.float64).tiny)
    picture = np.empty((_MAP_SIDE, _MAP_SIDE, 4), np.uint8)
    picture[..., :3] = _BGR
    picture[..., 3] = np.rint(255 * _STRONGEST * share)
    png = cv2.imencode(".png", picture)[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(png).decode()
