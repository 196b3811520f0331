"""Packages that only some formats of weights need."""

from __future__ import annotations

import importlib
import pathlib
from types import ModuleType

from tfds_builders.common.errors import InputError


def package(name: str, extra: str, path: pathlib.Path) -> ModuleType:
    """The imported package.

    Args:
      name: of the module, 'safetensors.numpy'.
      extra: of our own package, which installs it.
      path: the file that needs it, for the error.

    Raises:
      InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(
            path,
            f"needs the package {name.split('.')[0]}, which is not installed",
            f"pip install 'cxr_jax[{extra}]'",
        ) from None
