"""What is known of a run's model without building it: kept, for the next time.

Building the model of a run takes a second, most of it imports, and its programs are kept
compiled. What else is asked of it are these few facts, which follow from the config and
the code alone; `ahead.facts` forgets them where anything of either differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax.devices import ahead

_OF_MODEL = ("params/", "model_state/")


class Blueprint(NamedTuple):
    """Of a model that scores films.

    Attributes:
      decided_by: of `Experiment`.
      shapes: of `digest.shapes`, of the whole state of a training.
      targets: {name: (shape of one example, dtype)}, which the eval step wants.
      task: its name.
      classes, questions: of `Recipe`.
    """

    decided_by: str
    shapes: dict[str, list]
    targets: dict[str, tuple[list[int], str]]
    task: str
    classes: list[str]
    questions: list[str]


def kept(config: ConfigDict) -> Blueprint | None:
    """The blueprint that `keep` was given for this config by this code."""
    found = ahead.facts(_text(config))
    return None if found is None else Blueprint(**found)


def keep(config: ConfigDict, blueprint: Blueprint) -> None:
    """Keeps it beside the compiled programs."""
    ahead.keep_facts(_text(config), blueprint._asdict())


def variables(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """{'params', 'batch_stats'} to evaluate with, of the leaves of a state by name.

    Those of the moving average where there is one, as of `state.evaluation_variables`.
    """
    averages = {n: leaf for n, leaf in leaves.items() if n.startswith("ema/")}
    own = {n: leaf for n, leaf in leaves.items() if n.startswith(_OF_MODEL)}
    found: dict[str, Any] = {}
    for name, leaf in (averages or own).items():
        *folders, last = (
            name.removeprefix("ema/").removeprefix("model_state/").split("/")
        )
        place = found
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = leaf
    return found


def _text(config: ConfigDict) -> str:
    return f"blueprint of {config_lib.to_json(config)}"
