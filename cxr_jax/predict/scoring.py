"""From films to records, batch by batch: read ahead, scored together, gated."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.predict import reading, record, squares
from cxr_jax.predict.inputs import Item
from cxr_jax.predict.reading import Read, Task
from cxr_jax.predict.recipe import Recipe
from cxr_jax.predict.record import OFF, PASSED, REFUSED, WARNED, Outputs
from tfds_builders.common.build.parallel import Workers

REFUSE, WARN, NO_GATE = "refuse", "warn", "off"
MODES = (REFUSE, WARN, NO_GATE)
# float32 [n, S, S, 1] in 0..1 -> Outputs
Network = Callable[[np.ndarray], Outputs]


class Gate(NamedTuple):
    """What decides whether a film is one that the model may score.

    Attributes:
      look: pixels [H, W] -> what it wants to know of them, a few numbers; picklable.
      judge: (look, features [D]) -> a verdict with `passed` and `findings`.
      digest: of its constants.
    """

    look: Callable[[np.ndarray], Any]
    judge: Callable[[Any, np.ndarray], Any]
    digest: str


class Scorer(NamedTuple):
    """A model that scores films.

    Attributes:
      recipe: how they are read, and what its figures mean.
      network: of any number of films.
      batch_size: of films that it computes at once.
      gate: None where there is none.
    """

    recipe: Recipe
    network: Network
    batch_size: int
    gate: Gate | None


class Scored(NamedTuple):
    """Attributes:
    record: of `record.record`.
    shown: of `reading.Read`.
    heatmap: float32 [h, w], or None.
    """

    record: dict[str, Any]
    shown: np.ndarray | None
    heatmap: np.ndarray | None


def score(
    scorer: Scorer, items: Iterable[Item], mode: str, workers: Workers, *, shows: bool
) -> Iterator[list[Scored]]:
    """The films in their order, by batches of the model's size.

    Args:
      scorer: the model; its gate is not asked where the mode is NO_GATE.
      items: the films.
      mode: of MODES: whether a film that the gate turns away is scored.
      workers: that read.
      shows: whether the films will be drawn.
    """
    gate = scorer.gate if mode != NO_GATE else None
    task = Task(scorer.recipe.preprocess, gate.look if gate else None, shows)
    kept, fed = itertools.tee(items)
    found = workers.in_order(partial(reading.read, task), fed, reading.crashed)
    pairs = zip(kept, found, strict=True)
    while batch := list(itertools.islice(pairs, scorer.batch_size)):
        yield of_batch(scorer, batch, mode)


def of_batch(
    scorer: Scorer, batch: Sequence[tuple[Item, Read]], mode: str
) -> list[Scored]:
    """The same of films that were read."""
    there = [read.square for _, read in batch if read.square is not None]
    outputs = scorer.network(squares.unit(np.stack(there))) if there else None
    scored, place = [], 0
    for item, read in batch:
        if read.square is None or outputs is None:
            made = record.record(
                scorer.recipe, item.path, item.example_id, error=read.error
            )
            scored.append(Scored(made, None, None))
            continue
        own = Outputs(*(part if part is None else part[place] for part in outputs))
        scored.append(_judged(scorer, item, read, own, mode))
        place += 1
    return scored


def _judged(scorer: Scorer, item: Item, read: Read, own: Outputs, mode: str) -> Scored:
    state, why = OFF, ""
    if scorer.gate is not None and mode != NO_GATE:
        verdict = scorer.gate.judge(read.look, own.features)
        turned_away = REFUSED if mode == REFUSE else WARNED
        state = PASSED if verdict.passed else turned_away
        why = record.reasons(verdict.findings)
    made = record.record(
        scorer.recipe,
        item.path,
        item.example_id,
        None if state == REFUSED else own.probs,
        gate=state,
        gate_reasons=why,
        warnings=read.notes,
    )
    return Scored(made, read.shown, None if state == REFUSED else own.heatmap)
