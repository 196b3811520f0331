"""Test cases worth a look: the best, the worst, and those the model doubts most."""

from __future__ import annotations

import base64
from typing import NamedTuple

import cv2
import numpy as np

from cxr_jax.audits.data.pictures import as_8bit
from cxr_jax.data import source
from cxr_jax.metrics import decide
from cxr_jax.report import maps
from cxr_jax.report.material import Material
from cxr_jax.report.table import Table
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import LEVELS, ZONES

OF_EACH = 6
SIDE = 256
_QUALITY = 80
KINDS = {
    "best": "Nearest to what was read",
    "worst": "Farthest from what was read",
    "doubted": "Most doubted by the model",
}


class Case(NamedTuple):
    """One test image.

    Attributes:
      row: within the split.
      example_id: of the dataset.
      words: what was read and what was predicted.
      zones: (letter, left and top in 0..1, predicted, read) of six, or empty.
      picture: a JPEG as a data URI.
      layer: where the score comes from, a PNG as a data URI; empty without one.
    """

    row: int
    example_id: str
    words: str
    zones: list[tuple[str, float, float, float, int]]
    picture: str
    layer: str = ""


class Gallery(NamedTuple):
    """The cases of a report.

    Attributes:
      cases: {kind of KINDS: cases}.
      method: of their layers; empty where there are none.
      note: why there are none.
    """

    cases: dict[str, list[Case]]
    method: str = ""
    note: str = ""


def choose(labels: np.ndarray, probs: np.ndarray) -> dict[str, np.ndarray]:
    """{kind: rows}, at most OF_EACH of each; of equal ones the first.

    Args:
      labels: [N, G].
      probs: [N, G, K]. The error is that of the expected score for zones, and the
        probability that the truth lacks for classes; doubt is the entropy.
    """
    if labels.shape[1] == 1:
        true = np.take_along_axis(probs[:, 0], labels, axis=1)[:, 0]
        error = 1 - true
    else:
        expected = probs @ np.arange(probs.shape[-1])
        error = np.abs(expected - labels).mean(axis=1)
    logs = np.log(np.maximum(probs, np.finfo(np.float64).tiny))
    doubt = -(probs * logs).sum(axis=-1).mean(axis=1)
    return {
        "best": np.argsort(error, kind="stable")[:OF_EACH],
        "worst": np.argsort(-error, kind="stable")[:OF_EACH],
        "doubted": np.argsort(-doubt, kind="stable")[:OF_EACH],
    }


def make(material: Material, side: int = SIDE) -> Gallery:
    """With pictures and layers; nothing for a task without probabilities."""
    if material.labels is None:
        return Gallery({})
    chosen = choose(material.labels, material.probs)
    rows = np.unique(np.concatenate(list(chosen.values())))
    try:
        method, layers = maps.layers(material, rows)
        note = ""
    except InputError as error:  # the rest of a report needs no checkpoint
        method, layers, note = "", {}, f"No maps: {error}"
    cases = {
        row: _case(material, row, side)._replace(layer=layers.get(row, ""))
        for row in rows.tolist()
    }
    shown = {kind: [cases[row] for row in some] for kind, some in chosen.items()}
    return Gallery(shown, method, note)


def table(found: dict[str, list[Case]]) -> Table:
    """Which they are."""
    rows = [
        (KINDS[kind], each.example_id, each.words)
        for kind, some in found.items()
        for each in some
    ]
    return Table("cases", "Cases", ("", "example_id", "read and predicted"), rows)


def picture(material: Material, row: int, side: int) -> np.ndarray:
    """uint8 [side, side], as the model is shown it before its own preprocessing."""
    split = material.splits.test
    stored = split.read(int(split.rows[row]))["image"]
    shown = source.decode(stored, side, material.config.data.square)
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
    words = f"global score {expected.sum():.1f}, read as {labels.sum()}"
    # Drawn as a grid over the picture: where the lungs lie is not known here.
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
    """What it is called, at the threshold where there are two classes."""
    classes, probs = material.config.task.settings.classes, material.probs[row]
    thresholds = np.array(material.results["best"]["decision"]["thresholds"])
    label, called = int(material.labels[row, 0]), int(decide(probs, thresholds)[0])
    text = f"called {classes[called]} ({probs[0, called]:.2f})"
    if called == label:
        return f"{text}, as labelled"
    return f"{text}, labelled {classes[label]}"
