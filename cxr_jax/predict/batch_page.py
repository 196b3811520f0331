"""The page of a batch: a table of all films that sorts, filters and searches.

Rows lie beside it in scripts of so many films each, because a page that is opened from
a disk may read scripts but no other files. 100,000 films are 20 MB of rows, of which a
hundred are shown at a time.
"""

from __future__ import annotations

import html
import json
import pathlib
from typing import Any

from cxr_jax.predict import store
from cxr_jax.predict.overlay import RESEARCH
from cxr_jax.predict.recipe import BRIXIA, Recipe
from cxr_jax.runs import text_table
from tfds_builders.common import files

DATA = "index_files"
THUMBNAILS = f"{DATA}/thumbnails"
_CHUNK = 5000
_HERE = pathlib.Path(__file__).parent


def write(output: pathlib.Path, recipe: Recipe, films: int) -> None:
    """Writes index.html and the rows beside it, of the rows that are there."""
    chunk: list[list[Any]] = []
    names = []
    for number, row in enumerate(store.rows(output / store.PART)):
        chunk.append(_row(number, row, recipe))
        if len(chunk) == _CHUNK or number + 1 == films:
            name = f"rows-{len(names):04}.js"
            # < is written out, so that no text ends the script.
            text = json.dumps(chunk, separators=(",", ":")).replace("<", "\\u003c")
            files.write_text(output / DATA / name, f"add({text});\n")
            names.append(name)
            chunk = []
    parts = {
        "title": html.escape(f"{recipe.name}: {text_table.count(films, 'films')}"),
        "research": RESEARCH,
        "trained": html.escape(recipe.trained_on),
        "lacking": html.escape(no_interval(recipe)),
        "css": (_HERE / "batch_page.css").read_text(encoding="utf-8"),
        "js": (_HERE / "batch_page.js").read_text(encoding="utf-8"),
        "facts": json.dumps(_facts(recipe)).replace("<", "\\u003c"),
        "rows": "".join(f'<script src="{DATA}/{name}"></script>\n' for name in names),
    }
    text = (_HERE / "batch_page.html").read_text(encoding="utf-8")
    for key, value in parts.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    files.write_text(output / store.PAGE, text)


def no_interval(recipe: Recipe) -> str:
    """Why there are no intervals of the global score, or ''."""
    if recipe.task != BRIXIA or recipe.decision.interval_factor is not None:
        return ""
    return (
        "No intervals of the global score: the run settled none, as an earlier version "
        "trained it."
    )


def _facts(recipe: Recipe) -> dict[str, Any]:
    return {
        "task": recipe.task,
        "questions": list(recipe.questions),
        "classes": list(recipe.classes),
    }


def _row(number: int, row: dict[str, str], recipe: Recipe) -> list[Any]:
    """[id, path, picture or '', gate, reasons, warnings, error, confidence, figures]."""
    picture = "" if row["error"] else store.picture_name(number, row["example_id"])
    figures: list[Any] = []
    if row["confidence"] and recipe.task == BRIXIA:
        keys = ["global", "global_low", "global_high"]
        keys += [f"expected_{zone}" for zone in recipe.questions]
        figures = [_number(row[key]) for key in keys]
    elif row["confidence"]:
        probs = [_number(row[f"prob_{name}"]) for name in recipe.classes]
        figures = [row["called"], row["set"], *probs]
    keys = ("gate", "gate_reasons", "warnings", "error")
    return [
        *(row["example_id"], row["path"], picture),
        *(row[key] for key in keys),
        *(_number(row["confidence"]), figures),
    ]


def _number(text: str) -> float | None:
    return round(float(text), 4) if text else None
