"""From films to records, batch by batch: read ahead, scored together, gated."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.gate import judge
from cxr_jax.gate.fitted import Gate
from cxr_jax.predict import inputs, reading, record, squares
from cxr_jax.predict.inputs import Item
from cxr_jax.predict.reading import Read, Task
from cxr_jax.predict.recipe import Recipe
from cxr_jax.predict.record import OFF, PASSED, REFUSED, WARNED, Outputs
from tfds_builders.common.build.parallel import Workers
from tfds_builders.common.errors import InputError

REFUSE, WARN, NO_GATE = "refuse", "warn", "off"
MODES = (REFUSE, WARN, NO_GATE)
_TYPES = (np.uint8, np.uint16)
# float32 [n, S, S, 1] in 0..1 -> Outputs
Network = Callable[[np.ndarray], Outputs]


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
    task = Task(scorer.recipe.preprocess, looks=gate is not None, shows=shows)
    kept, fed = itertools.tee(items)
    found = workers.in_order(partial(reading.read, task), fed, reading.crashed)
    pairs = zip(kept, found, strict=True)
    while batch := list(itertools.islice(pairs, scorer.batch_size)):
        yield of_batch(scorer, batch, mode)


def records(scorer: Scorer, films: Sequence[Any], mode: str) -> list[dict[str, Any]]:
    """The records of films of the API, in their order.

    Args:
      scorer: the model.
      films: paths, as `--input` takes them, or arrays [H, W] of uint8 or uint16 over
        their full range, air black; not both.
      mode: of MODES.

    Raises:
      InputError: no film, or something else than a path or such an array.
    """
    check_gate(scorer, mode)
    if not len(films):
        raise InputError("films", "there are none", "give at least one")
    if all(isinstance(each, str | os.PathLike) for each in films):
        items = inputs.find([os.fspath(each) for each in films]).items
        with Workers(0) as workers:
            batches = list(score(scorer, items, mode, workers, shows=False))
        return [each.record for batch in batches for each in batch]
    looks = scorer.gate is not None and mode != NO_GATE
    task = Task(scorer.recipe.preprocess, looks=looks, shows=False)
    found = []
    for start in range(0, len(films), scorer.batch_size):
        numbers = range(start, min(start + scorer.batch_size, len(films)))
        batch = [
            (
                Item(f"films[{number}]", str(number), pathlib.Path()),
                reading.of_pixels(task, checked(number, films[number])),
            )
            for number in numbers
        ]
        found += [each.record for each in of_batch(scorer, batch, mode)]
    return found


def listed(films: Any) -> list[Any]:
    """Films of the API as a list: several, or one path or array [H, W] alone.

    Raises:
      InputError: it is none of these.
    """
    is_array = isinstance(films, np.ndarray) and films.ndim == 2
    if is_array or isinstance(films, str | os.PathLike):
        return [films]
    if not isinstance(films, Iterable):
        hint = "give a path, an array [H, W], or several of them"
        raise InputError("films", f"is a {type(films).__name__}", hint)
    return list(films)


def check_gate(scorer: Scorer, mode: str) -> None:
    """Raises InputError for a mode that does not exist, or a gate that is not there."""
    if mode not in MODES:
        raise InputError("gate", f"is {mode!r}", f"choose one of: {', '.join(MODES)}")
    if mode != NO_GATE and scorer.gate is None:
        raise InputError(
            scorer.recipe.name,
            "was exported without a gate: films of another kind would be scored too",
            "choose 'off' as gate and look at the films yourself; or export it again",
        )


def checked(number: int, film: Any) -> np.ndarray:
    """The array. Raises InputError for another type or shape."""
    array = np.asarray(film)
    if array.ndim != 2 or array.dtype not in _TYPES or not array.size:
        raise InputError(
            f"films[{number}]",
            f"is an array of {array.dtype} {list(array.shape)}",
            "give [H, W] of uint8 or uint16 over the full range of the type, or give "
            "paths only",
        )
    return array


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
    if scorer.gate is not None and read.look is not None:
        verdict = judge.judge_look(scorer.gate, read.look, own.features)
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
