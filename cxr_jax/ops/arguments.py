"""Checks on the arguments of an op in a preprocessing string.

Each raises TypeError or ValueError with one sentence; `registry` adds where it was written.
"""


def number(name, value, low, high):
    """`value` as a float from `low` to `high`, both included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, found {value!r}")
    if not low <= value <= high:  # also false for nan
        raise ValueError(f"{name} must be from {low} to {high}, found {value!r}")
    return float(value)


def whole(name, value, low, high):
    """`value` as an int from `low` to `high`, both included."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, found {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, found {value!r}")
    return value


def numbers(name, value, low, high):
    """One number or a tuple of them, as a tuple of floats."""
    values = value if isinstance(value, tuple | list) else (value,)
    if not values:
        raise ValueError(f"{name} must hold at least one number, found {value!r}")
    return tuple(number(name, each, low, high) for each in values)


def choice(name, value, allowed):
    """`value`, which must be one of the strings `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        known = " or ".join(repr(each) for each in allowed)
        raise ValueError(f"{name} must be {known}, found {value!r}")
    return value


def factors(amount, lo, hi):
    """The range of a random factor: 1 +- `amount`, or `lo` to `hi`."""
    if amount is not None and lo is None and hi is None:
        amount = number("amount", amount, 0, 1)
        return 1 - amount, 1 + amount
    if amount is None and lo is not None and hi is not None:
        lo, hi = number("lo", lo, 0, 10), number("hi", hi, 0, 10)
        if lo > hi:
            raise ValueError(f"lo must not exceed hi, found lo={lo!r} and hi={hi!r}")
        return lo, hi
    raise ValueError(
        "give either one amount (0.2 means a factor from 0.8 to 1.2) or both lo and hi"
    )
