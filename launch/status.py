"""Where the runs of a sweep are: python -m launch.status runs/loss."""

from __future__ import annotations

import pathlib

from cxr_jax.devices.terminal import say
from tfds_builders.common import command
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded

from . import attempts, claim, progress, register, slurm
from .live_table import failures, lines, summary
from .progress import Progress

_COMMAND = f"python -m {__package__}.status"


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        raise InputError(
            "command line", "one folder is needed", f"{_COMMAND} runs/loss"
        )
    return show(expanded(argv[1]))


def show(folder: pathlib.Path) -> int:
    """Prints a table of all runs, and of failed ones the reason and the last lines.

    Returns:
      The exit code: 0 unless a run failed or a result was edited.
    """
    parts = register.read(folder)
    found = read(folder)
    for line in lines(found):
        say(line)
    ends = {}
    for part in parts:
        tried = attempts.read(folder / part.folder)
        if tried and found[part.name].state == "failed":
            ends[part.name] = attempts.last_lines(folder / part.folder, tried[-1].log)
    failed = failures(found, ends)
    if failed:
        say(f"\n{failed}")
    say(f"\n{summary(found)}")
    return 1 if failed else 0


def read(folder: pathlib.Path) -> dict[str, Progress]:
    """{name: where it is}, from its files, claims, and the queue of Slurm."""
    parts = register.read(folder)
    queued = {
        part.folder: state
        for each in slurm.submissions(folder)
        for index, state in each.states.items()
        for part in each.jobs[index].parts
    }
    found = {}
    for part in parts:
        workdir = folder / part.folder
        at = progress.of(workdir, part.digest)
        if at.state not in progress.OVER:
            who = claim.holder(folder, part.digest)
            state = queued.get(part.folder, "")
            if who is not None:
                where = f"process {who.get('pid')} on {who.get('host')}"
                at = progress.measured(workdir)._replace(reason=where)
            elif state.startswith("RUNNING"):
                at = progress.measured(workdir)._replace(reason="Slurm")
            elif state:
                at = at._replace(state="queued", reason=state)
        found[part.name] = at
    return found


if __name__ == "__main__":
    command.run(main, hint=f"see --help; for example: {_COMMAND} runs/loss")
