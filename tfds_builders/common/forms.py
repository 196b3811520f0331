"""What the JSON of this project has to hold, and the one function that checks it.

A form is a type, a tuple of types, `Each` of a form, or {key: form}; a key that ends in
'?' may be missing, and others than those named may be there.
"""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any, NamedTuple

from tfds_builders.common import files
from tfds_builders.common.errors import InputError

REAL = (int, float)
RESTORE = "restore it, or train the run again in a new --workdir"


class Each(NamedTuple):
    """An object whose values all have one form, under any keys, these among them."""

    form: Any
    keys: tuple[str, ...] = ()


def check(
    path: Any, content: Any, form: Any, hint: str = RESTORE, key: str = ""
) -> None:
    """Refuses what has not this form.

    Args:
      path: of the file, for the message.
      content: what is in it, or at `key` of it.
      form: see above.
      hint: what to do.
      key: where in the file: 'best.step'.

    Raises:
      InputError: names the file, the key, and what was found there.
    """
    if isinstance(form, Each):
        _check_type(path, content, dict, hint, key)
        for name in form.keys:
            if name not in content:
                raise InputError(path, f"has no {_join(key, name)}", hint)
        for name, value in content.items():
            check(path, value, form.form, hint, _join(key, name))
    elif isinstance(form, dict):
        _check_type(path, content, dict, hint, key)
        for name, inner in form.items():
            plain = name.removesuffix("?")
            if plain in content:
                check(path, content[plain], inner, hint, _join(key, plain))
            elif plain == name:
                raise InputError(path, f"has no {_join(key, name)}", hint)
    else:
        _check_type(path, content, form, hint, key)


def read(path: pathlib.Path, form: Any, *, missing: str, damaged: str = RESTORE):
    """The JSON object of a file, if it has the form; hints as of `files.read_json`.

    Raises:
      InputError: names the file and the key.
    """
    content = files.read_json(path, missing=missing, damaged=damaged)
    check(path, content, form, damaged)
    return content


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl: a step and numbers, null where a value is not a number.

    Raises:
      InputError: names the file and the line.
    """
    rows = []
    text = files.read_text(path, missing=RESTORE, damaged=RESTORE)
    for number, line in enumerate(text.splitlines(), 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}", f"is not valid JSON ({error})", RESTORE
            ) from None
        check(f"{path}, line {number}", row, Each((*REAL, None)))
        check(f"{path}, line {number}", row, {"step": int})
        rows.append(row)
    return rows


def _check_type(path: Any, value: Any, wanted: Any, hint: str, key: str) -> None:
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    types = tuple(type(None) if each is None else each for each in wanted)
    fits = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if fits and isinstance(value, REAL) and not isinstance(value, bool):
        try:
            fits = math.isfinite(value)
        except OverflowError:
            fits = False
    if not fits:
        names = " or ".join("null" if each is None else _NAMES[each] for each in wanted)
        shown = ascii(value)
        shown = shown if len(shown) < 40 else f"{shown[:37]}..."
        where = f"{key} is {shown}" if key else f"holds {shown}"
        raise InputError(path, f"{where}, not {names}", hint)


def _join(key: str, name: str) -> str:
    shown = name if name.isprintable() and len(name) < 80 else ascii(name)[:80]
    return f"{key}.{shown}" if key else shown


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}
