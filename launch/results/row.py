"""The rows of the table of results, read from rows/*.toml: one file a family."""

from __future__ import annotations

import math
import pathlib
import tomllib
from typing import Any, NamedTuple

from cxr_jax.metrics.registry import metric as metric_of
from tfds_builders.common import files, forms
from tfds_builders.common.errors import InputError

FOLDER = pathlib.Path(__file__).parent / "rows"
# The columns of the picture and of the table, behind the claim.
ARMS = REPRODUCED, HONEST = "reproduced", "honest"
_ADVICE = "launch/results/row.py says what a row holds"


class Claim(NamedTuple):
    """A published figure.

    Attributes:
      text: as published, 'accuracy 76.18 +- 2.70 %'.
      source: who says so, with a DOI or a link.
      on: which films, and how many.
      value: in the metric of the row; NaN where it is of another.
      checked: which parts of it were looked up, and where; '' where none was.
    """

    text: str
    source: str
    on: str
    value: float = math.nan
    checked: str = ""


class Arm(NamedTuple):
    """Runs of one config, over seeds and folds.

    Attributes:
      config: a file with its arguments; {weights} stands for `--weights`.
      quick_config: with --quick, the same file with other arguments; '' for `config`.
      seeds, folds: one run for each of both; fold -1 is the stored split.
      settings: overrides of the config, {'total': '10 epochs'}.
      quick: further ones, with --quick; seeds are then the first alone.
      trees: which folder of `sources` it is trained on; '' for the dataset of the row.
    """

    config: str
    seeds: tuple[int, ...] = (0,)
    folds: tuple[int, ...] = (-1,)
    settings: dict[str, Any] = {}  # noqa: RUF012, a row is never changed
    quick: dict[str, Any] = {}  # noqa: RUF012
    trees: str = ""
    quick_config: str = ""


class Row(NamedTuple):
    """A line of the table.

    Attributes:
      name: of its folder.
      title: what it is about.
      metric: of METRICS, on test; what the picture shows.
      beside: further metrics of the table.
      dataset: that is trained on, 'covidgr/512'; '' for synthetic films alone.
      protocol: how the figure is made.
      films: that the release has, where the protocol is of all of them; a sample will
        not do. 0: any number.
      claim: what was published, or None.
      level: what is known of an honest figure elsewhere, or ''.
      quick_note: what the short trainings of --quick do otherwise, or cannot show, or ''.
      quick_skip: why --quick leaves it out, unless it is asked for by name, or ''.
      arms: {'reproduced': ..., 'honest': ...}; none where the release is needed first.
      external: what the honest arm is tested on besides, 'covidgr/512:all', or
        '@eurorad:all' of a folder of `sources`; '' for nothing.
      module: a program beside this file that makes the row instead of arms, or ''.
      is_drawn: in the picture.
    """

    name: str
    title: str
    metric: str
    protocol: str
    dataset: str = ""
    films: int = 0
    beside: tuple[str, ...] = ()
    claim: Claim | None = None
    level: str = ""
    quick_note: str = ""
    quick_skip: str = ""
    arms: dict[str, Arm] = {}  # noqa: RUF012
    external: str = ""
    module: str = ""
    is_drawn: bool = True


_CLAIM = {"text": str, "source": str, "on": str, "value?": forms.REAL, "checked?": str}
_ARM = {
    "config": str,
    "seeds?": list,
    "folds?": list,
    "settings?": dict,
    "quick?": dict,
    "trees?": str,
    "quick_config?": str,
}
_ROW = {
    "name": str,
    "title": str,
    "metric": str,
    "protocol": str,
    "dataset?": str,
    "films?": int,
    "beside?": list,
    "claim?": _CLAIM,
    "level?": str,
    "quick_note?": str,
    "quick_skip?": str,
    "arms?": forms.Each(_ARM),
    "external?": str,
    "module?": str,
    "is_drawn?": bool,
}


def read(folder: pathlib.Path = FOLDER) -> list[Row]:
    """All rows, file by file.

    Raises:
      InputError: a file that is not TOML, or a row that does not have this form.
    """
    found: list[Row] = []
    for path in sorted(folder.glob("*.toml")):
        text = files.read_text(path, missing=_ADVICE, damaged=_ADVICE, kind="TOML")
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(path, f"is not TOML: {error}", _ADVICE) from None
        for each in content.get("row", []):
            found.append(_row(path, each))
    names = [each.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(folder, f"has rows twice: {', '.join(twice)}", _ADVICE)
    return found


def _row(path: pathlib.Path, content: dict[str, Any]) -> Row:
    forms.check(path, content, _ROW, _ADVICE)
    _check_names(path, content, _ROW)
    where = f"{path}, {content['name']}"
    for name in (content["metric"], *content.get("beside", ())):
        metric_of(name)
    arms = {}
    for name, arm in content.get("arms", {}).items():
        if name not in ARMS:
            raise InputError(where, f"has an arm {name}", f"use {' or '.join(ARMS)}")
        _check_names(where, arm, _ARM)
        listed = {key: tuple(arm[key]) for key in ("seeds", "folds") if key in arm}
        arms[name] = Arm(**{**arm, **listed})
    claim = content.get("claim")
    if claim is not None:
        _check_names(where, claim, _CLAIM)
        claim = Claim(**claim)
    beside = tuple(content.get("beside", ()))
    return Row(**{**content, "arms": arms, "claim": claim, "beside": beside})


def _check_names(where: Any, content: dict[str, Any], form: dict[str, Any]) -> None:
    known = {name.removesuffix("?") for name in form}
    if unknown := sorted(set(content) - known):
        hint = f"use {', '.join(sorted(known))}"
        raise InputError(where, f"has an unknown key: {', '.join(unknown)}", hint)
