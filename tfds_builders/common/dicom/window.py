"""The VOI LUT module of a header: a table, a window, or neither (PS3.3, C.11.2)."""

import numpy as np

from tfds_builders.common.dicom.attributes import code, has, numbers
from tfds_builders.common.dicom.lut import is_empty, read_lut
from tfds_builders.common.errors import InputError

_HINT = "Remove the window from the header, or export the file again."


def shown(path, header, values: np.ndarray, low, high) -> np.ndarray | None:
    """Display values 0..1 of values, by the LUT or else the first window; None if none.

    Further tables and windows are alternatives.

    Args:
      values: after the modality LUT.
      low, high: ends of their range.

    Errors: InputError for a table or window that cannot be applied.
    """
    lut = read_lut(path, header, "VOILUTSequence", low, high)
    if lut is not None:
        return lut(values) / lut.full
    centres = numbers(path, header, "WindowCenter")
    widths = numbers(path, header, "WindowWidth")
    if not centres or not widths:
        return None
    function = "LINEAR"
    if has(header, "VOILUTFunction"):
        function = code(header, "VOILUTFunction") or "unknown"
    return _window(path, values, centres[0], widths[0], function)


def notes(header) -> tuple[str, ...]:
    """Keys of counts.COUNTS about what was passed over."""
    found = [
        f"dicom_ignored:{name}"
        for name in ("ModalityLUTSequence", "VOILUTSequence")
        if is_empty(header, name)
    ]
    if has(header, "WindowCenter") != has(header, "WindowWidth"):
        lone = "WindowCenter" if has(header, "WindowCenter") else "WindowWidth"
        found.append(f"dicom_ignored:{lone}")
    return tuple(found)


def _window(path, values, centre: float, width: float, function: str) -> np.ndarray:
    """Source: PS3.3 C.11.2.1 (the functions LINEAR, LINEAR_EXACT and SIGMOID)."""
    if width < 1 if function == "LINEAR" else width <= 0:
        raise InputError(path, f"window width {width:g} (function {function})", _HINT)
    if function == "LINEAR":
        # Width 1 is a step at centre - 0.5; the slope below it is never used.
        slope = 1 / (width - 1) if width > 1 else np.inf
        with np.errstate(invalid="ignore"):
            unit = (values - (centre - 0.5)) * slope + 0.5
        return np.clip(np.nan_to_num(unit, nan=0.0), 0, 1)
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-4 * (values - centre) / width))
    raise InputError(
        path,
        f"VOI LUT function {function}",
        "Use LINEAR, LINEAR_EXACT or SIGMOID: export the file again.",
    )
