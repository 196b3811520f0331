"""Single values of a DICOM header: texts, codes and numbers, whatever was written.

A value is quoted in an error only where it is a number or a code: if a length is
damaged, a value includes other attributes, and perhaps a name.
"""

import math
import re

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue

from tfds_builders.common.errors import InputError

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")  # the VR CS (PS3.5, table 6.2-1)
_QUOTABLE = re.compile(r"[\d.,+\-eE]{1,16}|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_HINT = "Correct {} in the header, or export the file again."


def text(header, name: str) -> str:
    """The value of an attribute, as text without spaces around it; '' if absent."""
    value = header.get(name)
    return "" if value is None else str(value).strip()


def code(header, name: str) -> str:
    """The value of an attribute with VR CS, upper case.

    '' for anything that is not such a code, or if it is absent.
    """
    value = text(header, name).upper()
    return value if _CODE.fullmatch(value) else ""


def codes(header, name: str) -> tuple[str, ...]:
    """The values of an attribute with several, such as L\\F; () if absent."""
    values = [value.upper() for value in raw_texts(header, name)]
    return tuple(v if _CODE.fullmatch(v) else "" for v in values)


def has(header, name: str) -> bool:
    """Whether an attribute is there and not empty."""
    return bool(raw_texts(header, name))


def numbers(path, header, name: str) -> list[float]:
    """The values of a numeric attribute in the order of the file; [] if absent.

    Errors: InputError that names the attribute where one is not a finite number.
    """
    found = []
    for value in raw_texts(header, name):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            shown = value if _QUOTABLE.fullmatch(value) else "text"
            raise InputError(
                path, f"{name} is {shown}, not a number", _HINT.format(name)
            )
        found.append(number)
    return found


def number(path, header, name: str) -> float | None:
    """The value of a numeric attribute that has one; None if absent.

    Errors: InputError as of `numbers`, and where it has several that differ.
    """
    found = numbers(path, header, name)
    if len(set(found)) > 1:
        shown = ", ".join(f"{value:g}" for value in found[:4])
        raise InputError(
            path,
            f"{name} has {len(found)} values where one belongs ({shown})",
            _HINT.format(name),
        )
    return found[0] if found else None


def integer(path, header, name: str, default: int | None = None) -> int:
    """The value of a whole-number attribute that has one.

    Errors: InputError as of `number`, where it is not whole, and where it is absent
    and there is no default.
    """
    found = number(path, header, name)
    if found is None:
        if default is not None:
            return default
        raise InputError(path, f"the header lacks {name}", _HINT.format(name))
    if found != int(found):
        raise InputError(
            path, f"{name} is {found:g}, not a whole number", _HINT.format(name)
        )
    return int(found)


def raw_texts(header, name: str) -> list[str]:
    """Values as they are written, without spaces; empty ones are left out.

    Read before pydicom converts them, as it refuses what is no number.
    """
    tag = tag_for_keyword(name)
    if tag not in header:
        return []
    element = header.get_item(tag)
    value = element.value
    if isinstance(value, bytes):
        known = element.VR not in (None, "UN")
        if (element.VR if known else dictionary_VR(tag)) in _TEXTS:
            value = value.decode("latin-1").split("\\")
        else:
            value = header[tag].value  # binary: pydicom knows its bytes
    values = value if isinstance(value, list | tuple | MultiValue) else [value]
    stripped = ["" if v is None else str(v).strip("\0 ") for v in values]
    return [value for value in stripped if value]


_TEXTS = ("AS", "CS", "DS", "IS", "LO", "SH", "UI", "UT", "LT", "ST", "UC", "UR")
