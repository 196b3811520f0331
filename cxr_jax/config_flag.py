"""The flag --config: a file, or the name of a shipped one, and what is wrong with it."""

from __future__ import annotations

import pathlib

from absl import flags
from ml_collections import ConfigDict, config_flags

from cxr_jax import config as config_lib
from tfds_builders.common.errors import InputError

CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "A config file, or the name of a shipped one, with arguments after a colon "
    "(brixia.py:phantom); --config.optim.lr=1e-3 changes a value.",
)


def parse(argv: list[str]) -> list[str]:
    """Parses all flags; -> the arguments that are none.

    Raises:
      InputError: no such config file, one that fails, or a key or value that it has not.
    """
    argv = _located(argv)
    path = _path(argv)
    if path:
        config_lib.check_file(path)
    try:
        with config_lib.no_bytecode():
            return flags.FLAGS(argv)
    except BrokenPipeError:  # of `--help | head`
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        if fault := path and config_lib.fault_in(path, error):
            raise fault from error
        raise _fault(argv, str(path), error) from None


def value() -> ConfigDict | None:
    """The config, locked; None where the flag was not given.

    Raises:
      InputError: the file cannot be read, or does not return a ConfigDict.
    """
    config = CONFIG.value
    if config is None:
        return None
    try:
        # ml_collections keeps an OSError of the file until the config is used.
        return config.lock()
    except OSError as error:
        path = pathlib.Path(spec().partition(":")[0])
        if fault := config_lib.fault_in(path, error):
            raise fault from error
        last = str(error).strip().splitlines()[-1].strip()
        raise InputError(path, last, "correct the file") from None
    except AttributeError:
        raise InputError(
            spec(),
            f"get_config() returns a {type(config).__name__}",
            "return an ml_collections.ConfigDict, as the shipped configs do",
        ) from None


def spec() -> str:
    """What --config was given: 'configs/brixia.py:phantom'."""
    return flags.FLAGS["config"].config_filename


def origin() -> dict[str, object]:
    """Where the config comes from: its file, and what the command line changed."""
    overrides = dict(flags.FLAGS["config"].override_values)
    return {"file": spec(), "overrides": overrides}


def _fault(argv: list[str], path: str, error: Exception) -> InputError:
    """The error about a flag of the config that ml_collections refuses."""
    message = config_lib.message(error)
    if "'get_config'" in message:
        return InputError(path, "has no get_config()", "add one that returns a config")
    given = [text.partition("=") for text in argv if text.startswith("--config.")]
    wrong = [(key, value) for key, _, value in given if value and value in message]
    if wrong:
        key, found = wrong[0]
        hint = "give a value of the type that the config has there"
        return InputError(key, f"{found!r} does not fit ({message})", hint)
    if not isinstance(error, AttributeError | KeyError):
        return InputError("--config", message, "see the config file")
    return InputError(
        "--config",
        f"it has no key {message}",
        "see the config file, and configs/common.py, for the keys there are",
    )


def _path(argv: list[str]) -> pathlib.Path | None:
    """The file of --config=FILE[:arguments] or --config FILE."""
    for place, text in enumerate(argv):
        flag, equals, found = text.partition("=")
        if flag.lstrip("-") == "config" and flag.startswith("-"):
            found = found if equals else "".join(argv[place + 1 : place + 2])
            return pathlib.Path(found.partition(":")[0])
    return None


def _located(argv: list[str]) -> list[str]:
    """The arguments, with the path of a shipped config instead of its name."""
    located = list(argv)
    for place, text in enumerate(argv):
        flag, equals, found = text.partition("=")
        if flag in ("--config", "-config") and equals:
            located[place] = f"{flag}={config_lib.locate(found)}"
        elif flag in ("--config", "-config") and place + 1 < len(argv):
            located[place + 1] = config_lib.locate(argv[place + 1])
    return located
