"""Folders that tests use."""

import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# Real films; tests that need them are skipped where the folder is absent.
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
