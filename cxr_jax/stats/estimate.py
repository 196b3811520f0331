"""A figure with its 95 % interval: how it is stored and how it is printed."""

import math
from typing import Any, NamedTuple


class Estimate(NamedTuple):
    """A number, its 95 % interval, the number of images, and what is wrong with it.

    NaN where undefined; then, and where the interval needs a caveat, `reason` says
    why.
    """

    value: float
    lo: float
    hi: float
    n: int
    reason: str = ""

    @property
    def is_defined(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval around the value."""
        return math.isfinite(self.lo) and math.isfinite(self.hi)

    def text(self, digits: int = 3, *, sign: bool = False, unit: str = "") -> str:
        """'0.842 (0.801 to 0.876)', '0.842' or 'not defined: only one class is present'.

        sign: write '+' too, as differences need it. unit: '%' multiplies by 100.
        """
        if not self.is_defined:
            return f"not defined: {self.reason}" if self.reason else "not defined"
        text = number(self.value, digits, sign=sign, unit=unit)
        interval = self.interval(digits, sign=sign, unit=unit)
        return f"{text} ({interval})" if interval else text

    def interval(self, digits: int = 3, *, sign: bool = False, unit: str = "") -> str:
        """'0.801 to 0.876', or '' where there is none."""
        if not self.has_interval:
            return ""
        lo, hi = (
            number(end, digits, sign=sign, unit=unit) for end in (self.lo, self.hi)
        )
        return f"{lo.removesuffix(' %')} to {hi}"

    def to_json(self) -> dict[str, Any]:
        """{'value', 'lo', 'hi', 'n'}, and 'reason' where there is one; NaN is null."""
        return {
            "value": json_number(self.value),
            "lo": json_number(self.lo),
            "hi": json_number(self.hi),
            "n": int(self.n),
            **({"reason": self.reason} if self.reason else {}),
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Estimate":
        """What `to_json` wrote."""
        value, lo, hi = (
            float("nan") if found[key] is None else found[key]
            for key in ("value", "lo", "hi")
        )
        return cls(value, lo, hi, found["n"], found.get("reason", ""))


def undefined(n: int, reason: str) -> Estimate:
    """No value: why, and how many images there were."""
    nan = float("nan")
    return Estimate(nan, nan, nan, n, reason)


def point(value: float, n: int = 0, reason: str = "") -> Estimate:
    """A value without an interval."""
    nan = float("nan")
    return Estimate(value, nan, nan, n, reason)


def number(value: float, digits: int = 3, *, sign: bool = False, unit: str = "") -> str:
    """'0.842', '1234.5', '12.3 %'; zero has no sign, and 'n/a' stands for NaN.

    From 100 on there is one digit behind the point at most.
    """
    if not math.isfinite(value):
        return "n/a"
    if unit == "%":
        value, digits = 100 * value, max(digits - 2, 0)
    digits = digits if abs(value) < 100 else min(digits, 1)
    shown = f"{value:{'+' if sign else ''}.{digits}f}"
    shown = shown.lstrip("+-") if float(shown) == 0 else shown
    return f"{shown} %" if unit == "%" else shown


def json_number(value: float) -> float | None:
    """As JSON has it: what is not finite is null."""
    return float(value) if math.isfinite(value) else None
