"""Numbers that a caller passes: each function returns one of a plain type, or says which numbers it takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from autodiff_compare.plan import ranges

_NUMBERS = (int, float, np.integer, np.floating)


def whole(name: str, given: Any, least: int = 0, most: int | None = None) -> int:
    """Return a whole number of any numeric type as an int; reject any other value."""
    if not isinstance(given, _NUMBERS) or given != given // 1 or given < least or (most is not None and given > most):
        expected = f"a whole number from {least}" + (f" to {most}" if most is not None else "")
        raise ValueError(f"got {name}={given!r}, expected {expected}")
    return int(given)


def positive(name: str, given: Any) -> float:
    """Return a positive, finite number of seconds."""
    if not isinstance(given, _NUMBERS) or not 0 < given < float("inf"):
        raise ValueError(f"got {name}={given!r}, expected a positive number of seconds")
    return float(given)


def sizes(given: Any) -> tuple[int, ...]:
    """Return the sizes that a caller names: a number, several, or a range as on the command line; none of `None`."""
    if given is None:
        return ()
    if isinstance(given, str):
        return ranges.numbers(given)
    if isinstance(given, bool) or not isinstance(given, (*_NUMBERS, Iterable)):
        raise ValueError(f"got n={given!r}, expected a whole number from 1, several, or a range '10:1e6:log7'")
    each = given if isinstance(given, Iterable) else (given,)
    found = tuple(dict.fromkeys(whole("n", n, 1) for n in each))
    if not found:
        raise ValueError(f"got n={given!r}, expected one size or more")
    return found
