"""Names that a caller passes: each function returns texts, or says what it takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

#: Argument of `compare` -> an example of what it takes.
_EXAMPLES = {"backends": "'numpy'", "operators": "'gradient'", "dtypes": "'float64'", "variants": "'all'"}


def names(name: str, given: Any) -> tuple[str, ...]:
    """Return the names in a sequence, or a single one; a dtype may be NumPy's, a file a path."""
    several = isinstance(given, Iterable) and not isinstance(given, (str, type))
    return tuple(one_name(name, each) for each in (given if several else (given,)))


def one_name(name: str, given: Any) -> str:
    """Return a name as a text; reject what is none."""
    if name == "dtypes" and isinstance(given, (type, np.dtype)):
        return np.dtype(given).name
    if name == "backends" and isinstance(given, os.PathLike):
        return str(given)
    if not isinstance(given, str):
        raise ValueError(f"got {given!r} in {name}=, expected a name or several: {name}={_EXAMPLES[name]}")
    return given


def environment(given: Any) -> dict[str, str]:
    """Return environment variables, as a dictionary from name to value."""
    if not isinstance(given, Mapping) or not all(isinstance(part, str) for pair in given.items() for part in pair):
        raise ValueError(f"got env={given!r}, expected a dictionary from variable to text, both of type str")
    for name, value in given.items():
        if not name or any(c in "=\0" or c.isspace() for c in name) or "\0" in value:
            raise ValueError(
                f"got the variable {name!r} in env=, expected a name without = or spaces: {{'NAME': 'value'}}"
            )
    return dict(given)
