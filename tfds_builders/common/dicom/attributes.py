"""Single values of a DICOM header; '' if absent."""

import re

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")  # the VR CS (PS3.5, table 6.2-1)


def text(header, name: str) -> str:
    """The value of an attribute, as text without spaces around it."""
    value = header.get(name)
    return "" if value is None else str(value).strip()


def code(header, name: str) -> str:
    """The value of an attribute with VR CS, upper case.

    '' for anything that is not such a code: if a length is damaged, the value includes
    other attributes, and perhaps a name.
    """
    value = text(header, name).upper()
    return value if _CODE.fullmatch(value) else ""
