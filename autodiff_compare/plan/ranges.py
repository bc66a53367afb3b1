"""Ranges of sizes: ``10:1e6:log7`` names seven numbers from ten to a million.

Only the standard library is imported here, so that the command line parses its options without loading anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

#: The forms of a range, for messages.
FORMS = "1000, 10,100,1e3, 10:1e6:log7 (seven numbers, equal ratios) or 10:50:lin5 (five, equal steps)"
_RANGE = re.compile(r"([^:]+):([^:]+):(log|lin)([1-9]\d*)")
#: Most numbers of a range: each is a size of its own.
_MOST = 1000


def numbers(text: str) -> tuple[int, ...]:
    """Return the whole numbers that a text names, each once, in its order.

    Parameters
    ----------
    text
        Numbers and ranges, separated by commas; a number may be written as ``1e6``. The ends of a range belong to it,
        and its numbers are rounded to whole ones.

    Raises
    ------
    ValueError
        If the text has another form, or names a number below 1. The message says what was expected.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        found |= dict.fromkeys(_numbers(part.strip(), text))
    return tuple(found)


def _numbers(part: str, text: str) -> Iterator[int]:
    if ":" not in part:
        yield _whole(part, text)
        return
    ends = _RANGE.fullmatch(part)
    if ends is None or int(ends[4]) > _MOST:
        raise ValueError(f"got {text!r}, expected {FORMS}")
    first, last, count = _whole(ends[1], text), _whole(ends[2], text), int(ends[4])
    if count == 1 and first != last:
        raise ValueError(f"got {text!r}, expected two numbers or more from {first} to {last}: {ends[3]}2")
    for k in range(count):
        share = k / max(count - 1, 1)
        if ends[3] == "lin":
            yield round(first + share * (last - first))
        else:
            # The ends are exact: exp(log(last)) may round to another whole number.
            yield last if k == count - 1 else round(math.exp(math.log(first) + share * math.log(last / first)))


def _whole(text: str, whole_text: str) -> int:
    """Return a whole number from 1, written as ``1000``, ``1_000`` or ``1e3``."""
    try:
        value = int(text) if text.replace("_", "").isdigit() else float(text)
        found = int(value)
    except (ValueError, OverflowError):
        value, found = 0, 0
    if found < 1 or found != value:
        raise ValueError(f"got {text!r} in {whole_text!r}, expected a whole number from 1: {FORMS}")
    return found
