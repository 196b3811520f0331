"""Memory of the CPU in pages of 2 MB, which only the environment can ask glibc for.

Imports nothing that takes time: the command line calls `use` before all else.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

NAME, VALUE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"


def use() -> None:
    """Restarts this process with huge pages, under the same process id, if that helps.

    XLA:CPU maps the memory of every step again: 600 MB for MobileNetV2, in pages
    of 4 kB a quarter of its time. Whoever sets the variable, to nothing too, decides.
    """
    if can_help():
        os.environ[NAME] = VALUE
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ)


def can_help() -> bool:
    """Whether JAX will compute on a CPU, with glibc's memory, which nobody has set."""
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return False
    if NAME in os.environ or not library.startswith("glibc") or not sys.executable:
        return False
    # All plugins of JAX, as those for GPU and TPU, are modules in this one.
    asked = os.environ.get("JAX_PLATFORMS", "")
    return asked == "cpu" or (not asked and find_spec("jax_plugins") is None)
