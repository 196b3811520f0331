"""One film of the spool, scored: the record of --mode=predict, and its picture."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.bundle.loaded import Bundle
from cxr_jax.predict import overlay, reading, scoring
from cxr_jax.predict.inputs import Item
from cxr_jax.predict.reading import Task
from cxr_jax.predict.scoring import NO_GATE


class FilmResult(NamedTuple):
    """Attributes:
    record: {column: text or number} of `predict.record`; 'error' is '' where the film
      could be read, 'confidence' is '' where it has no figures.
    overlay: uint8 [H, W, 3], RGB, of `predict.overlay`; None where it was not read.
    """

    record: dict[str, Any]
    overlay: np.ndarray | None


def score_film(bundle: Bundle, path: pathlib.Path, name: str, gate: str) -> FilmResult:
    """What the model makes of a file; one that cannot be read has its error.

    Args:
      bundle: the model.
      path: of the file.
      name: of the film, its SOPInstanceUID, which becomes its example_id.
      gate: of `scoring.MODES`.
    """
    scorer = bundle.scorer
    looks = scorer.gate is not None and gate != NO_GATE
    task = Task(scorer.recipe.preprocess, looks=looks, shows=True)
    item = Item(path.name, name, path)
    [scored] = scoring.of_batch(scorer, [(item, reading.read(task, item))], gate)
    picture = None
    if scored.shown is not None:
        picture = overlay.draw(
            scorer.recipe, scored.record, scored.shown, scored.heatmap
        )
    return FilmResult(scored.record, picture)
