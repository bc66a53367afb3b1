"""Names of sizes: ``small`` or ``n=1000``; ``smallx16`` with rows of a batch, ``small^6`` with a degree of a series."""

from __future__ import annotations

import re

#: A size with a number of rows of a batch: ``smallx16``.
_ROWS = re.compile(r"(.+)x([1-9]\d*)")
#: A size with the degree of a Taylor series: ``small^6``.
_DEGREE = re.compile(r"(.+)\^([1-9]\d*)")
#: A size that is given by its number: ``n=1000``.
_NUMBER = re.compile(r"n=([1-9]\d*)")


def split_rows(size: str) -> tuple[str, int | None]:
    """Return the size and the number of rows in ``SIZExROWS``; `None` in a size without rows."""
    found = _ROWS.fullmatch(size)
    return (found[1], int(found[2])) if found else (size, None)


def split_degree(size: str) -> tuple[str, int | None]:
    """Return the size and the degree in ``SIZE^DEGREE``; `None` in a size without a degree."""
    found = _DEGREE.fullmatch(size)
    return (found[1], int(found[2])) if found else (size, None)


def numbered(n: int) -> str:
    """Return the name of the size with a number: ``n=1000``."""
    return f"n={n}"


def number_of(size: str) -> int | None:
    """Return the number of a size that is given by it, ``n=1000``; `None` of any other size."""
    found = _NUMBER.fullmatch(size)
    return int(found[1]) if found else None
