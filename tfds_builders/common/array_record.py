"""Whether the file format of prepared datasets can be used on this machine."""

import importlib.util

from tfds_builders.common.errors import InputError


def require() -> None:
    """Raises InputError where array_record is not installed."""
    if importlib.util.find_spec("array_record") is None:
        raise InputError(
            "array_record",
            "is not installed, and datasets are stored in its format",
            "pip install array_record; it exists for Linux and for macOS on Apple "
            "silicon only, so use such a machine or a Linux container elsewhere",
        )
