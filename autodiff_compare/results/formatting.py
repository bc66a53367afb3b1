"""Format numbers and lists of names for readers: durations, bytes, ratios, errors, counts.

The terminal, the report and the studies share these functions, so that one number reads alike everywhere. The defaults
are ASCII, for terminals; the report passes typographic signs (`autodiff_compare.report.page.wording`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_UNITS_OF_TIME = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
_UNITS_OF_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def printable(text: str) -> str:
    """Return a text from a file in a form that is safe to print: control characters become their escapes.

    Line breaks are kept.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def markdown(text: str) -> str:
    """Escape text for a cell of a Markdown table: nothing in it is Markdown, HTML or the mention of a user."""
    flat = " ".join(printable(text).split())
    return re.sub(r"([\\`*_\[\]<>|#~!&])", r"\\\1", flat).replace("@", "@\u200b")


def markdown_row(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table; its cells are escaped already."""
    return f"| {' | '.join(cells)} |"


def seconds(value: float, micro: str = "u") -> str:
    """Return a duration with three digits and its unit: ``1.25 ms``; ``-`` if it is not finite.

    Parameters
    ----------
    value
        In seconds.
    micro
        Prefix of a microsecond.
    """
    if not math.isfinite(value):
        return "-"
    # 0.9995 of a unit rounds to 1: 999.96 us is printed as 1 ms.
    scale, unit = next(((s, u) for s, u in _UNITS_OF_TIME if abs(value) >= s * 0.9995), _UNITS_OF_TIME[-1])
    return f"{digits(value / scale)} {unit.replace('u', micro)}"


def size(value: float | None) -> str:
    """Return a number of bytes in binary units: ``1.5 MiB``; ``-`` if it is unknown."""
    if value is None or not math.isfinite(value):
        return "-"
    scale, unit = next(((s, u) for s, u in _UNITS_OF_BYTES if abs(value) >= s), _UNITS_OF_BYTES[-1])
    return f"{digits(value / scale)} {unit}"


def ratio(value: float) -> str:
    """Return a ratio with three digits: ``1.48x``; ``-`` if it is not finite."""
    return f"{digits(value)}x" if math.isfinite(value) else "-"


def eps(value: float) -> str:
    """Return an error that is given in units of the machine epsilon: ``0.31 eps``; ``exact`` for 0."""
    if not math.isfinite(value):
        return "-"
    return "exact" if value == 0 else f"{value:.2g} eps" if value < 1000 else f"{value:.1e} eps"


def count(value: float, gap: str = " ") -> str:
    """Return a whole number with ``gap`` between its thousands: ``12 345``."""
    return f"{value:,.0f}".replace(",", gap)


def plural(n: int, noun: str, several: str = "", gap: str = " ") -> str:
    """Return a count with its noun: ``1 cell``, ``2 cells``; ``several`` is an irregular plural."""
    return f"{count(n, gap)} {noun if n == 1 else several or f'{noun}s'}"


def number(value: float) -> str:
    """Return a short plain number for axes and tables: ``1000``, ``1e-8``, ``0.25``."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.5g}" if abs(value) >= 1000 else f"{value:.4g}"
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else f"{value:.3g}"


def digits(value: float) -> str:
    """Return three significant digits, without an exponent up to 9999."""
    return f"{value:.0f}" if 100 <= abs(value) < 10_000 else f"{value:.3g}"


def listed(names: Iterable[str], most: int = 6) -> str:
    """Return the distinct names as ``a, b and c``; names beyond ``most`` are counted: ``a, b and 3 more``."""
    given = list(dict.fromkeys(names))
    if len(given) > most:
        given = [*given[:most], f"{len(given) - most} more"]
    return " and ".join([", ".join(given[:-1]), given[-1]] if len(given) > 1 else given)
