"""Run a command so that a user's mistake is one message, not a traceback."""

import errno
import os
import pathlib
import re
import select
import sys
from collections.abc import Callable

from absl import app, flags

from tfds_builders.common.errors import InputError
from tfds_builders.common.files import make_room

# What absl says of a flag that is required.
_MISSING = re.compile(r"Flag (--\w+) must have a value other than None")
_PLACES = (
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ESTALE,
)


def run(
    main: Callable[[list[str]], int | None],
    *,
    parse: Callable[[list[str]], list[str]] = flags.FLAGS,
    hint: str = "see --help",
    interrupted: str = "",
) -> None:
    """absl's app.run; an InputError or a mistyped flag ends with exit code 1.

    Args:
      main: gets the command line without its flags; returns the exit code.
      parse: of the flags; may raise InputError too.
      hint: what to do about an unknown or missing flag.
      interrupted: what Ctrl-C leaves behind, if it ends the command at once.
    """

    def parser(argv: list[str]) -> list[str]:
        try:
            return parse(argv)
        except flags.Error as error:
            if missing := _MISSING.search(str(error)):
                raise InputError(missing[1], "is not given", hint) from None
            raise InputError("command line", str(error), hint) from None

    # --help lists the flags of the file that was started; a console script has none.
    for flag in flags.FLAGS.get_key_flags_for_module(main.__module__):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    try:
        app.run(main, flags_parser=parser)
    except InputError as error:
        sys.stdout.flush()
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        # As in `--help | head`: Python would fail once more as it empties its buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # The disk, a folder or a name, not a mistake of ours.
        if error.errno not in _PLACES or not error.filename:
            raise
        sys.stdout.flush()
        hint = f"{make_room(pathlib.Path(error.filename), error.errno)}."
        if error.errno in (errno.EACCES, errno.EPERM):  # to read or to write
            hint = "Get permission to use it, or give another path."
        sys.exit(f"error: {InputError(error.filename, error.strerror, hint)}")
    except KeyboardInterrupt:
        sys.stdout.flush()
        print(
            f"Stopped; {interrupted}." if interrupted else "Stopped.", file=sys.stderr
        )
        sys.exit(130)


def _nobody_reads() -> bool:
    """Whether standard output is a pipe whose reader is gone."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
