"""The UIDs of results: the same each time for one film and one model."""

from __future__ import annotations

import uuid

from pydicom.uid import UID

# Of this project; a UUID that was drawn once.
_NAMESPACE = uuid.UUID("7c1f6a52-6d0b-4f0e-9b57-2f6f6c9f0a11")


def uid(*parts: str) -> UID:
    """'2.25.' and a UUID made of texts (PS3.5, B.2; RFC 9562, 5.5), which may be any.

    A UID is of at most 44 characters so, and asks nobody for a root.
    """
    name = "".join(f"{len(part)}:{part}" for part in parts)
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")
