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
      InputError: it is not installed, or cannot be loaded.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise _broken(name, path, error) from None
        raise InputError(
            path,
            f"needs the package {error.name}, which is not installed",
            f"pip install 'cxr_jax[{extra}]'",
        ) from None
    except ImportError as error:
        raise _broken(name, path, error) from None


def _broken(name: str, path: pathlib.Path, error: ImportError) -> InputError:
    return InputError(
        path,
        f"needs the package {name}, which cannot be loaded: {str(error)[:200]}",
        f"install {name.split('.')[0]} again, or free memory",
    )
