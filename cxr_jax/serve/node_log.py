"""The log of a node: one JSON object a line, on stderr, without names of people."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import sys
import threading
import warnings
from typing import Any

_lock = threading.Lock()


def quiet() -> None:
    """From now on no library writes lines of its own, which may quote a header."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def note(event: str, **facts: Any) -> None:
    """Writes a line {"time": ..., "event": ..., **facts}.

    facts: numbers and texts; of films and patients pseudonyms only.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "event": event, **facts}, default=str)
    with _lock, contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
