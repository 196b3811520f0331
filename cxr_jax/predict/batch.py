"""`--mode=predict`: a folder of films in, a table, pictures and a page out."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np

from cxr_jax.devices.terminal import say
from cxr_jax.gate import gate_file
from cxr_jax.predict import batch_page, inputs, overlay, store
from cxr_jax.predict import record as record_lib
from cxr_jax.predict.inputs import Item
from cxr_jax.predict.progress_line import Progress
from cxr_jax.predict.scoring import NO_GATE, Scored, Scorer, check_gate, score
from cxr_jax.runs import text_table
from tfds_builders.common import files
from tfds_builders.common.build.parallel import Workers
from tfds_builders.common.errors import InputError

# Films from which processes that read are worth their start.
_MANY = 400
_NAMED = 5  # unreadable films that the terminal shows


def predict(
    scorer: Scorer, texts: Sequence[str], output: pathlib.Path, mode: str
) -> int:
    """Scores films, or resumes where it was killed.

    Args:
      scorer: the model.
      texts: of `--input`.
      output: a new folder, or that of the same command before.
      mode: of `scoring.MODES`.

    Returns:
      The exit code: 1 where a film could not be read.

    Raises:
      InputError: no films, or an output that is not of this command.
    """
    check_gate(scorer, mode)
    if not texts:
        raise InputError("--input", "is not given", "give files, folders or archives")
    found = inputs.find(texts, output)
    for kind, count in found.skipped.items():
        say(f"left out, as no image: {text_table.count(count, 'files')} ({kind})")
    with store.held(output):
        store.begin(output, _settings(scorer, found.items, mode))
        columns = record_lib.columns(scorer.recipe)
        done = store.done(output, columns, found.items)
        if done is None:
            say(f"{output} is finished.")
        else:
            if done:
                say(f"{done:,} of {len(found.items):,} films are done; going on")
            if lacking := batch_page.no_interval(scorer.recipe):
                say(lacking)
            _score(scorer, found.items, done, output, mode)
            batch_page.write(output, scorer.recipe, len(found.items))
            store.finish(output)
        return _summary(output)


def _settings(scorer: Scorer, items: Sequence[Item], mode: str) -> dict:
    recipe = scorer.recipe
    return {
        "model": recipe.name,
        "run_digest": recipe.run_digest,
        "trained_on": recipe.trained_on,
        "made_by": recipe.made_by,
        "gate": mode,
        "gate_sha256": _gate_sha256(scorer, mode),
        "films": len(items),
        "films_sha256": store.digest(items),
    }


def _gate_sha256(scorer: Scorer, mode: str) -> str:
    if scorer.gate is None or mode == NO_GATE:
        return ""
    content = json.dumps(gate_file.to_json(scorer.gate), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _score(
    scorer: Scorer, items: Sequence[Item], done: int, output: pathlib.Path, mode: str
) -> None:
    left = len(items) - done
    processes = (os.cpu_count() or 1) if left >= _MANY else 0
    progress = Progress(len(items), done)
    with Workers(processes) as workers, ThreadPoolExecutor(os.cpu_count()) as drawers:
        rest = (items[place] for place in range(done, len(items)))
        for batch in score(scorer, rest, mode, workers, shows=True):
            numbers = range(done, done + len(batch))
            draw = partial(_draw, scorer, output)
            list(drawers.map(draw, numbers, batch))
            store.append(output, [each.record for each in batch])
            done += len(batch)
            progress.add(len(batch))
    progress.close()


def _draw(scorer: Scorer, output: pathlib.Path, number: int, each: Scored) -> None:
    if each.shown is None:
        return
    name = store.picture_name(number, each.record["example_id"])
    picture = overlay.draw(scorer.recipe, each.record, each.shown, each.heatmap)
    png = _encoded(".png", picture[..., ::-1])
    files.write_bytes(output / store.OVERLAYS / f"{name}.png", png)
    small = overlay.thumbnail(each.shown)
    files.write_bytes(
        output / batch_page.THUMBNAILS / f"{name}.jpg", _encoded(".jpg", small)
    )


def _encoded(suffix: str, picture: np.ndarray) -> bytes:
    return cv2.imencode(suffix, np.ascontiguousarray(picture))[1].tobytes()


def _summary(output: pathlib.Path) -> int:
    scored, warned, turned, unreadable, first = 0, 0, 0, 0, []
    for row in store.rows(output / store.ROWS):
        if row["error"]:
            unreadable += 1
            if len(first) < _NAMED:
                first.append(f"  {row['path']}: {row['error']}")
        elif row["confidence"]:
            scored += 1
            warned += row["gate"] == record_lib.WARNED
        else:
            turned += 1
    say(
        f"{text_table.count(scored, 'films')} scored"
        + f" ({warned:,} against the gate's advice)" * bool(warned)
        + f", {turned:,} refused by the gate, {unreadable:,} could not be read"
    )
    for line in first:
        say(line)
    if unreadable > len(first):
        say(f"  and {unreadable - len(first):,} more: column error")
    say(f"written: {output / store.ROWS}, {output / store.PAGE}")
    say(overlay.RESEARCH)
    return int(unreadable > 0)
