"""Which runs of a sweep can share one program, and whether that is worth while."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from cxr_jax import config as config_lib
from cxr_jax.config import MAY_DIFFER
from cxr_jax.runs import text_table

from .plan import MOVES, Run


class Choice(NamedTuple):
    """A backend, and why it."""

    backend: str
    why: str


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that can be members of one program together, in order; each run once."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(_shared(run.config), []).append(run)
    return list(found.values())


def choose(runs: Sequence[Run]) -> Choice:
    """What `--backend=auto` stands for on this machine."""
    made = groups(runs)
    largest = max(map(len, made))
    residency = {run.config["data"]["residency"] for run in runs}
    if residency & {"host", "disk"}:
        kept = ", ".join(sorted(residency))
        return Choice("local", f"members need data.residency=device, and it is {kept}")
    if largest == 1:
        free = ", ".join(MAY_DIFFER)
        return Choice("local", f"no two runs differ only in {free}: none can share")
    alone = sum(len(group) == 1 for group in made)
    programs = text_table.count(len(made) - alone, "programs")
    shared = f"{len(runs) - alone} of {len(runs)} runs share {programs}"
    return Choice(
        "members", f"{shared}: one start, one compilation, one copy of data each"
    )


def _shared(config: dict[str, Any]) -> str:
    """What all members of one program have in common; see `cxr_jax.train.members`."""
    leaves = config_lib.leaves(config)
    fold = leaves.get("data.fold", -1)
    rest = {
        key: value
        for key, value in leaves.items()
        if key not in (*MAY_DIFFER, ".".join(MOVES))
    }
    # -1 is the split of the dataset; weights of classes depend on the fold.
    balanced = leaves.get("task.settings.balanced", False)
    return json.dumps([rest, fold if balanced else fold < 0], sort_keys=True)
