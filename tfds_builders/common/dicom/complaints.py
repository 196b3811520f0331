"""What pydicom warns of, as keys instead of lines on the terminal."""

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

# warnings.catch_warnings changes the filters of all threads.
_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """A list that is filled at the end: keys of counts.COUNTS, each once.

    The parameter is the part of pydicom that warned (charset, valuerep, filereader);
    the text itself may quote a name.
    """
    keys: list[str] = []
    logger = logging.getLogger("pydicom")
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            yield keys
        finally:
            logger.setLevel(level)
            parts = {Path(warning.filename).stem for warning in caught}
            keys += [f"dicom_unusual:{part}" for part in sorted(parts)]
