"""What the commands of this package share: a mistake is an error, not a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from absl import app, flags

from tfds_builders.common.errors import InputError


def run(main: Callable[[list[str]], int], hint: str) -> None:
    """Parses the flags, calls `main(argv)` and ends the process with what it returns.

    Args:
      main: gets the command line without its flags.
      hint: what to do about a flag that does not exist or is missing.
    """

    def parse(argv: list[str]) -> list[str]:
        try:
            return flags.FLAGS(argv)
        except flags.Error as error:
            _say(f"{error}\n  -> {hint}")
            sys.exit(1)

    def explained(argv: list[str]) -> int:
        try:
            return main(argv)
        except InputError as error:
            _say(str(error))
            return 1

    app.run(explained, flags_parser=parse)


def _say(message: str) -> None:
    print(f"\nerror: {message}", file=sys.stderr, flush=True)
