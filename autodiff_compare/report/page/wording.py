"""Text of the report: numbers with typographic signs, and text that is safe in HTML, SVG, JSON and Markdown."""

from __future__ import annotations

import hashlib
import json
import re

from autodiff_compare.results import formatting
from autodiff_compare.results.formatting import printable

_NARROW_SPACE = "\u202f"
#: Characters of a file's name.
_LONGEST_NAME = 80


def seconds(value: float) -> str:
    """Return a duration with three digits and its unit: ``1.25 µs``; ``-`` if it is not finite."""
    return formatting.seconds(value, micro="µ")


def count(value: float) -> str:
    """Return a whole number with narrow spaces between its thousands."""
    return formatting.count(value, gap=_NARROW_SPACE)


def plural(n: int, noun: str, several: str = "") -> str:
    """Return a count with its noun: ``1 cell``, ``2 cells``."""
    return formatting.plural(n, noun, several, gap=_NARROW_SPACE)


def label(text: str, longest: int = 32) -> str:
    """Return text for a figure: one line of Latin letters, which every font has, cut to ``longest``."""
    plain = "".join(c if ord(c) < 0x180 else "?" for c in printable(text).replace("\n", " "))
    return plain if len(plain) <= longest else f"{plain[: longest - 3]}..."


def slug(*parts: str) -> str:
    """Return a file name of lower-case letters, digits, ``-`` and ``_``, whatever the parts contain.

    A long one is cut off, with a digest of the whole: two names that begin alike stay two.
    """
    whole = "-".join(parts)
    name = re.sub(r"[^a-z0-9_]+", "-", whole.lower()).strip("-")
    if len(name) > _LONGEST_NAME:
        return f"{name[: _LONGEST_NAME - 7]}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
    return name or "unnamed"


def inline_json(value: object) -> str:
    """Serialise to JSON that is safe inside a script element: it can neither end the element nor open another."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def markdown(text: str) -> str:
    """Escape text for a cell of a Markdown table, so that nothing in it is markup."""
    return formatting.markdown(text.replace(_NARROW_SPACE, " "))
