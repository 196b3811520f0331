"""The rows of the table: what each measures, and how long it may take.

A row starts processes of its own and asks them in turns. One that crashes, hangs or
lacks a package costs its part of one row.
"""

from __future__ import annotations

import multiprocessing
import pathlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from benchmarks.gpu import (
    ceilings,
    idle,
    members,
    op_forms,
    scoring_rate,
    training_steps,
    whole,
)
from benchmarks.gpu.child import Child, Lost
from benchmarks.gpu.sizes import Sizes

Found = dict[str, Any]
# Of the time of a row: what trying batch sizes may take, and all that comes before the
# first timing. Who is not ready by then is left out, and the others are timed.
_TRYING, _READY = 0.5, 0.75


class Row(NamedTuple):
    """One row.

    Attributes:
      name: 'steps resnet50 bfloat16'.
      seconds: it takes at most, of the time of all rows.
      measure: (deadline by time.monotonic, log) -> what was found, JSON values.
    """

    name: str
    seconds: float
    measure: Callable[[float, pathlib.Path], Found]


def plan(sizes: Sizes, folder: pathlib.Path) -> list[Row]:
    """All rows in order of worth; `folder` keeps the drawn films."""
    loop = partial(idle.ours, sizes, "bfloat16")
    first, second, *others = [_steps(sizes, *case) for case in sizes.steps]
    return [
        Row("ceilings", 60, partial(_once, partial(ceilings.ours, sizes))),
        first,
        second,
        Row("idle", 90, partial(_once, loop)),
        Row("members", 150, partial(_members, sizes)),
        Row("whole training", 180, partial(_whole, sizes, folder)),
        Row("predictions", 90, partial(_rate, sizes, False)),
        Row("features", 90, partial(_rate, sizes, True)),
        Row("forms", 60, partial(_once, partial(op_forms.ours, sizes, "bfloat16"))),
        *others,
    ]


def _steps(sizes: Sizes, model: str, dtype: str) -> Row:
    def measure(deadline: float, log: pathlib.Path) -> Found:
        alone = multiprocessing.get_context("spawn").Lock()
        # By the clock of the machine, which processes share.
        until = time.time() + _TRYING * (deadline - time.monotonic())
        children = {
            name: Child(trainer, (model, dtype, sizes, alone, until), log)
            for name, trainer in training_steps.TRAINERS.items()
        }
        return {"model": model, "dtype": dtype} | _in_turns(
            children, sizes.repeats, deadline
        )

    return Row(f"steps {model} {dtype}", 150, measure)


def _rate(sizes: Sizes, features: bool, deadline: float, log: pathlib.Path) -> Found:
    arguments = (sizes, "bfloat16", features)
    children = {
        "ours": Child(scoring_rate.ours, arguments, log),
        "eager": Child(partial(scoring_rate.torch, compiled=False), arguments, log),
        "torch.compile": Child(
            partial(scoring_rate.torch, compiled=True), arguments, log
        ),
    }
    found = {"model": sizes.loop_model, "dtype": "bfloat16"}
    return found | _in_turns(children, sizes.repeats, deadline)


def _in_turns(children: dict[str, Child], repeats: int, deadline: float) -> Found:
    """{'trainers': {name: {facts, 'seconds': [of an image], 'problem'}}}."""
    found: dict[str, Found] = {}
    now = time.monotonic()
    ready = now + _READY * (deadline - now)
    try:
        for name, child in children.items():
            try:
                found[name] = {**child.answer(ready), "seconds": []}
            except Lost as lost:
                found[name] = {"problem": str(lost), "seconds": []}
        for turn in range(repeats):
            running = [name for name in children if "problem" not in found[name]]
            start = turn % max(len(running), 1)
            for name in running[start:] + running[:start]:
                try:
                    found[name]["seconds"].append(children[name].answer(deadline))
                except Lost as lost:
                    found[name]["problem"] = str(lost)
    finally:
        for child in children.values():
            child.close()
    return {"trainers": found}


def _once(answers, deadline: float, log: pathlib.Path) -> Found:
    child = Child(answers, (), log)
    try:
        return child.answer(deadline)
    finally:
        child.close()


def _members(sizes: Sizes, deadline: float, log: pathlib.Path) -> Found:
    found: Found = {
        "model": sizes.member_model,
        "side": sizes.member_side,
        "batch": sizes.member_batch,
        "members": {},
    }
    for count in sizes.members:
        answers = partial(members.ours, sizes, count, "bfloat16")
        try:
            found["members"][str(count)] = _once(answers, deadline, log)
        except Lost as lost:
            found["members"][str(count)] = {"problem": str(lost)}
    return found


def _whole(
    sizes: Sizes, folder: pathlib.Path, deadline: float, log: pathlib.Path
) -> Found:
    child = Child(whole.answers, (sizes, "bfloat16", folder), log)
    found: Found = {"model": sizes.loop_model, "epochs": sizes.epochs, "rows": {}}
    try:
        found |= child.answer(deadline)
        for name in whole.ROWS:
            found["rows"][name] = child.answer(deadline)
    except Lost as lost:
        found["problem"] = str(lost)
    finally:
        child.close()
    return found
