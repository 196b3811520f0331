"""Places on the user's disk: home folders, and owners without a name."""

import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tfds_builders.common.errors import InputError

_DATA = "~/tensorflow_datasets"  # TFDS's default, which it expands on import


def expanded(path: str | Path) -> Path:
    """The path, `~` being the user's home.

    Errors: InputError if nobody knows where that is: HOME is not set, or to no
    absolute path, and the user id (of `docker run --user`, for one) has no name; or
    there is no user of the name behind the `~`.
    """
    text = os.fspath(path)
    if not text.startswith("~"):
        return Path(text)
    found = os.path.expanduser(text)
    name = text[1:].partition("/")[0]
    if name:
        is_known, why = not found.startswith("~"), f"there is no user {name!r}"
        hint = f"Write the whole path, or ./{text} for a folder of that name."
    else:
        # An empty HOME would make it a folder in the root.
        home = os.environ.get("HOME")
        is_known = os.path.isabs(found if home is None else home)
        set_to = "not set, and this user has no entry" if home is None else repr(home)
        why = f"the home folder is not known: HOME is {set_to}"
        hint = "Set HOME, or write the whole path."
    if not is_known:
        raise InputError(path, why, hint)
    return Path(found)


def rejoined(parts: list[str], exists: Callable[[str], bool]) -> list[str]:
    """What a list that was cut at its commas names: paths may have commas of their own.

    Args:
      parts: of the list.
      exists: whether there is what a text names; a part of which nothing is known
        stands for itself.
    """
    found = []
    while parts:
        for count in range(len(parts), 0, -1):
            text = ",".join(parts[:count])
            if count == 1 or exists(text):
                found.append(text)
                parts = parts[count:]
                break
    return found


def data_dir(given: str | Path | None = None) -> Path:
    """The folder of prepared datasets, absolute: as given, else TFDS's own.

    Errors: InputError if it is in a home folder that is not known.
    """
    try:
        return expanded(given or os.environ.get("TFDS_DATA_DIR") or _DATA).absolute()
    except InputError as error:
        hint = "Set HOME, TFDS_DATA_DIR or --data_dir."
        raise InputError(error.where, error.found, hint) from error


def unreadable(folder: Path) -> Path | None:
    """The first of a folder, its parents and what is in it that may not be read."""
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            return None  # it is not there, or is a file: another error says so
        if not os.access(path, os.X_OK if path != folder else os.R_OK | os.X_OK):
            return path
    for here, folders, names in os.walk(folder):
        for path in (Path(here) / name for name in (*folders, *names)):
            wanted = os.R_OK | os.X_OK if path.is_dir() else os.R_OK
            if not os.access(path, wanted):
                return path
    return None


def denied(path: Path) -> InputError:
    """The error about a path of `unreadable`."""
    try:
        owner = f"user {path.stat().st_uid}"
    except OSError:
        owner = "another user"
    return InputError(
        path,
        f"may not be read: it belongs to {owner}, and you are user {os.getuid()}",
        "It is not damaged. Ask its owner for permission (chmod -R a+rX), or build the "
        "dataset in a folder of your own.",
    )


def cache_dir() -> Path:
    """Folder for what may be lost: in the user's home, else among temporary files."""
    try:
        return expanded("~/.cache/cxr_jax")
    except InputError:
        return Path(tempfile.gettempdir()) / f"cxr_jax-{os.getuid()}"


def allow_owners_without_name() -> None:
    """Let TFDS and Orbax ask for the size of a file whose owner has no name.

    Both read files through etils, whose `stat` looks up the names of owner and group
    (and needs neither): in a container with --user, and in a folder of an unknown
    group, these raise KeyError.
    """
    from etils.epath import backend  # half a second that most commands can spare

    local = backend._OsPathBackend
    if getattr(local.stat, "names_owners", True):
        result = backend.stat_utils.StatResult
        local.stat = _with_numbers(local.stat, result)


def _with_numbers(stat, result):
    @functools.wraps(stat)
    def found(self, path):
        try:
            return stat(self, path)
        except KeyError:
            about = os.stat(path)
            return result(
                is_directory=os.path.isdir(path),
                length=about.st_size,
                mtime=int(about.st_mtime),
                owner=str(about.st_uid),
                group=str(about.st_gid),
                mode=about.st_mode,
            )

    found.names_owners = False
    return found
