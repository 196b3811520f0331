"""Leaves these tests out where the packages of a node are missing."""

import importlib.util

NEEDED = ("pynetdicom", "highdicom", "dicomweb_client", "onnxruntime")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

if MISSING:
    collect_ignore_glob = [
        "objects",
        "test_[!e]*",
    ]  # all but test_extra.py, which says so
else:
    from receiving import receive, toy  # noqa: F401
