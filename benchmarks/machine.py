"""The first line of every table: the machine, its load, the packages."""

from __future__ import annotations

import importlib.metadata
import os


def describe(*packages: str) -> str:
    """'2 cores, load 0.1, 0.2, 0.3; torch 2.13.0', of the installed packages."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    versions = f"; {', '.join(found)}" if found else ""
    return f"{os.cpu_count()} cores, load {load}{versions}"
