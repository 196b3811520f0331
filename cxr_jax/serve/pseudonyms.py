"""Names for films in logs, which nobody can trace without the key of the node."""

from __future__ import annotations

import hashlib
import hmac
import os
import pathlib
import secrets

from tfds_builders.common import files
from tfds_builders.common.errors import InputError

FILE = "pseudonyms.key"
_BYTES = 32


def key_of(spool: pathlib.Path) -> bytes:
    """The key in a spool, made where there is none; only its owner may read it.

    Raises:
      InputError: it is damaged, or cannot be read or written.
    """
    path = spool / FILE
    if not path.exists():
        with files.explained(path):
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
    hint = "remove it: a new one is made, and films have other names in the log"
    text = files.read_text(path, missing=hint, damaged=hint).strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        raise InputError(path, f"is not a key of {_BYTES} bytes", hint)
    return key


def pseudonym(key: bytes, text: str) -> str:
    """Sixteen hexadecimal digits for a text: HMAC with SHA-256 (RFC 2104)."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16]
