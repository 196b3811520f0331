"""The folder of a run: it belongs to one config and to one process at a time."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import config_check
from cxr_jax.devices import processes
from cxr_jax.runs import results_file
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.lock import locked


@contextlib.contextmanager
def claimed(
    workdir: pathlib.Path, config: ConfigDict, *, allow: Sequence[str] = ()
) -> Iterator[str]:
    """Locks the folder and checks the `config.json` that is there.

    Args:
      workdir: of the run.
      config: what it is to be trained with.
      allow: keys, or sections of them, that may have changed: 'total', 'optim'.

    Yields:
      What has changed of them, lines of `config.diff`.

    Raises:
      InputError: another process is using it, or it belongs to another config.
    """
    if not processes.is_first():  # of several that are one run, the first holds it
        yield ""
        return
    if config.data.phantom:
        config_check.check_encoding("--workdir", workdir)

    def busy() -> None:
        raise InputError(
            workdir,
            "another process is using it",
            "wait for it, stop it, or give another --workdir",
        )

    with contextlib.ExitStack() as held:
        with files.explained(workdir):
            workdir.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(workdir / ".lock", busy))
        yield _check_config(workdir, config, allow)


def keep_config(workdir: pathlib.Path, config: ConfigDict) -> None:
    """Writes `config.json`, once it is known that the config can work."""
    files.write_text(workdir / "config.json", config_lib.to_json(config))


def _check_config(
    workdir: pathlib.Path, config: ConfigDict, allow: Sequence[str]
) -> str:
    path = workdir / "config.json"
    # Before the first checkpoint nothing would be mixed: the folder may be taken over.
    if not path.exists() or not results_file.has_begun(workdir):
        return ""
    begun = config_lib.to_dict(config_lib.from_json(path))
    before = ConfigDict(config_lib.tuples(config_check.completed(begun)))
    changes = config_lib.diff(before, config).splitlines()
    keys = {line: line[2:].split(" = ")[0] for line in changes}
    refused = [
        line
        for line, key in keys.items()
        if not any(f"{key}.".startswith(f"{each}.") for each in allow)
    ]
    if refused:
        named = ",".join(sorted({keys[line] for line in refused}))
        raise InputError(
            workdir,
            "belongs to another config:\n  " + "\n  ".join(refused),
            "give another --workdir for the new config (+), or undo the changes to "
            f"resume with the old one (-); --allow={named} resumes with the new one",
        )
    return "\n".join(changes)
