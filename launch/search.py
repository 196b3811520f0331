"""Searches for settings: python -m launch.search FILE --workdir=DIR --trials=50.

The file has `get_config` and `search(trial)`. Trials are trained and compared on val;
the best of them, once all are over, is the only one that is evaluated on test.
"""

from __future__ import annotations

from absl import flags

from tfds_builders.common import command
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded

from . import trial_loop, trials
from .trial_loop import Asked

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for the workdirs of the trials.", required=True
)
_TRIALS = flags.DEFINE_integer("trials", 20, "How many in all, those before included.")
_PARALLEL = flags.DEFINE_integer("parallel", 1, "Processes at a time.")
_STORAGE = flags.DEFINE_string(
    "storage",
    "",
    "URL of the database, as postgresql://..., or journal:FILE, which several machines "
    "can share; by default SQLite in the workdir.",
)
_PRUNER = flags.DEFINE_enum(
    "pruner", "hyperband", trials.PRUNERS, "What ends trials that promise little."
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the command of a first trial.")

_COMMAND = f"python -m {__package__}.search"


def main(argv: list[str]) -> int:
    if len(argv) < 2:
        raise InputError(
            "command line", "does not name a config", f"{_COMMAND} FILE --workdir=DIR"
        )
    if min(_TRIALS.value, _PARALLEL.value) < 1:
        raise InputError("--trials and --parallel", "are less than 1", "give 1 or more")
    asked = Asked(
        argv[1],
        expanded(_WORKDIR.value),
        argv[2:],
        _TRIALS.value,
        _PARALLEL.value,
        _STORAGE.value,
        _PRUNER.value,
    )
    return trial_loop.show(asked) if _DRY_RUN.value else trial_loop.run(asked)


if __name__ == "__main__":
    command.run(main, hint=f"see --help; for example: {_COMMAND} FILE --workdir=DIR")
