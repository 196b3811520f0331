"""What a model needs besides its network: how films are read, what its figures mean.

It is of JSON only: `bundle.json` and `preprocess.json` of an exported model hold it, and
docs/deployment.md describes them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from cxr_jax.stats.conformal import COVERAGE
from tfds_builders.common.dicom.radiograph import POLARITIES
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import REAL, check
from tfds_builders.common.zones import LEVELS, ZONES

FORMAT = 1
BRIXIA, CLASSIFY = "brixia", "classify"
_HINT = "export the model again; nothing in this file is meant to be edited"
_NUMBERS = {"thresholds": (list, None), "temperature": REAL, "set_least": REAL}
_BUNDLE = {
    "format": int,
    "made_by": str,
    "name": str,
    "task": str,
    "classes": list,
    "questions": list,
    "decision": {**_NUMBERS, "interval_factor?": (*REAL, None), "coverage": REAL},
    "trained_on": str,
    "run_digest": str,
}
# Of preprocess.json: each step, in order, with its arguments.
_STEPS = {
    "read": {"bits": int, "polarity": str},
    "longest": {"side": int},
    "pad": {},
    "square": {"side": int},
    "unit": {},
}


class Decision(NamedTuple):
    """What was settled on val.

    Attributes:
      thresholds: [K] of the classes; None for scores.
      temperature: divides the logits of calibrated probabilities.
      set_least: the least tempered probability of a class in a prediction set.
      interval_factor: of the interval of a global score, see `stats.conformal`;
        infinite where val was too small, None where the run did not settle one.
      coverage: share of cases that sets and intervals are to hold.
    """

    thresholds: tuple[float, ...] | None
    temperature: float
    set_least: float
    interval_factor: float | None
    coverage: float = COVERAGE


class Preprocess(NamedTuple):
    """From a film to the square that the network is given.

    Attributes:
      bits: 8 or 16, of the films of the training as they were stored.
      polarity: 'header' or 'pixels', see `dicom.radiograph.read_dicom`.
      longest: pixels of the longer side to which films were shrunk before.
      square: 'stretch' or 'pad', see `data.fitting`.
      side: of the square.
    """

    bits: int
    polarity: str
    longest: int
    square: str
    side: int


class Recipe(NamedTuple):
    """Attributes:
    name: of the model, for people.
    task: BRIXIA or CLASSIFY.
    classes: K names, in the order of the probabilities.
    questions: G names: six zones, or ('',).
    decision: what was settled on val.
    preprocess: how films are read.
    trained_on: dataset and version, for people.
    run_digest: of the results.json of the run.
    made_by: program and version.
    """

    name: str
    task: str
    classes: tuple[str, ...]
    questions: tuple[str, ...]
    decision: Decision
    preprocess: Preprocess
    trained_on: str
    run_digest: str
    made_by: str


def to_json(recipe: Recipe) -> dict[str, Any]:
    """What is in bundle.json of a recipe; the steps are in preprocess.json."""
    found = recipe.decision._asdict()
    if recipe.decision.thresholds is not None:
        found["thresholds"] = list(recipe.decision.thresholds)
    if recipe.decision.interval_factor is None:
        del found["interval_factor"]
    elif math.isinf(recipe.decision.interval_factor):
        found["interval_factor"] = None
    return {
        "format": FORMAT,
        "made_by": recipe.made_by,
        "name": recipe.name,
        "task": recipe.task,
        "classes": list(recipe.classes),
        "questions": list(recipe.questions),
        "decision": found,
        "trained_on": recipe.trained_on,
        "run_digest": recipe.run_digest,
    }


def steps_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """preprocess.json: {'format', 'steps': [{'op': 'read', 'bits': 16, ...}, ...]}."""
    found = preprocess
    steps = [
        {"op": "read", "bits": found.bits, "polarity": found.polarity},
        {"op": "longest", "side": found.longest},
        *([{"op": "pad"}] if found.square == "pad" else []),
        {"op": "square", "side": found.side},
        {"op": "unit"},
    ]
    return {"format": FORMAT, "steps": steps}


def from_json(
    bundle_path: Any, bundle: Any, preprocess_path: Any, preprocess: Any
) -> Recipe:
    """The recipe of two files' contents.

    Raises:
      InputError: names the file and the key.
    """
    check(bundle_path, bundle, _BUNDLE, _HINT)
    _check_format(bundle_path, bundle)
    decision = bundle["decision"]
    thresholds = decision["thresholds"]
    factor = decision.get("interval_factor", -1.0)
    recipe = Recipe(
        name=bundle["name"],
        task=bundle["task"],
        classes=tuple(bundle["classes"]),
        questions=tuple(bundle["questions"]),
        decision=Decision(
            thresholds=None if thresholds is None else tuple(thresholds),
            temperature=float(decision["temperature"]),
            set_least=float(decision["set_least"]),
            interval_factor=math.inf if factor is None else factor,
            coverage=float(decision["coverage"]),
        ),
        preprocess=steps_from_json(preprocess_path, preprocess),
        trained_on=bundle["trained_on"],
        run_digest=bundle["run_digest"],
        made_by=bundle["made_by"],
    )
    if "interval_factor" not in decision:
        kept = recipe.decision._replace(interval_factor=None)
        recipe = recipe._replace(decision=kept)
    _check(bundle_path, recipe)
    return recipe


def steps_from_json(path: Any, content: Any) -> Preprocess:
    """The steps of preprocess.json: read, longest, pad or not, square, unit.

    Raises:
      InputError: names the file and what is wrong in it.
    """
    check(path, content, {"format": int, "steps": list}, _HINT)
    _check_format(path, content)
    found: dict[str, dict[str, Any]] = {}
    for number, step in enumerate(content["steps"]):
        where = f"steps[{number}]"
        check(path, step, {"op": str}, _HINT, where)
        name = step["op"]
        if name not in _STEPS:
            known = ", ".join(_STEPS)
            raise InputError(path, f"{where}: unknown op {name!r} (of {known})", _HINT)
        check(path, step, _STEPS[name], _HINT, where)
        found[name] = step
    ops = [step["op"] for step in content["steps"]]
    wanted = [name for name in _STEPS if name != "pad" or "pad" in ops]
    if ops != wanted:
        raise InputError(path, f"its steps are {ops}, not {wanted}", _HINT)
    bits, polarity = found["read"]["bits"], found["read"]["polarity"]
    sides = found["longest"]["side"], found["square"]["side"]
    if bits not in (8, 16) or polarity not in POLARITIES or min(sides) < 1:
        raise InputError(path, f"cannot be: {content['steps']}", _HINT)
    square = "pad" if "pad" in ops else "stretch"
    return Preprocess(bits, polarity, sides[0], square, sides[1])


def _check_format(path: Any, content: dict[str, Any]) -> None:
    if content["format"] != FORMAT:
        raise InputError(
            path,
            f"is of format {content['format']}, and this version reads {FORMAT}",
            "use the version of cxr_jax that made it, or export the model again",
        )


def _check(path: Any, recipe: Recipe) -> None:
    texts = (*recipe.classes, *recipe.questions)
    if recipe.task not in (BRIXIA, CLASSIFY):
        raise InputError(path, f"task is {recipe.task!r}", _HINT)
    if not all(isinstance(text, str) for text in texts):
        raise InputError(path, "classes or questions are not texts", _HINT)
    zones = recipe.task == BRIXIA
    questions = tuple(ZONES) if zones else ("",)
    levels = tuple(map(str, range(LEVELS)))
    if recipe.questions != questions or (zones and recipe.classes != levels):
        raise InputError(
            path,
            f"a {recipe.task} model cannot have classes {recipe.classes} of questions "
            f"{recipe.questions}",
            _HINT,
        )
    thresholds = recipe.decision.thresholds
    if (thresholds is None) != zones or (
        thresholds is not None and len(thresholds) != len(recipe.classes)
    ):
        raise InputError(path, f"decision.thresholds is {thresholds}", _HINT)
    if recipe.decision.temperature <= 0:
        raise InputError(path, "decision.temperature is not above 0", _HINT)
