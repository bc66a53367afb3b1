"""Numbers in words: durations, ratios, errors and bytes, as people read them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence

from autodiff_compare.results.provenance import printable

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def seconds(value: float) -> str:
    """Three digits and a unit: ``1.25 ms``; ``-`` where unknown."""
    if not math.isfinite(value):
        return "-"
    scale, unit = next(((s, u) for s, u in _TIMES if abs(value) >= s * 0.9995), _TIMES[-1])
    return f"{_digits(value / scale)} {unit}"


def size(value: float) -> str:
    """Bytes in binary units: ``1.5 MiB``; ``-`` where unknown."""
    if not math.isfinite(value):
        return "-"
    scale, unit = next(((s, u) for s, u in _BYTES if abs(value) >= s), _BYTES[-1])
    return f"{_digits(value / scale)} {unit}"


def ratio(value: float) -> str:
    """``1.48x``."""
    return f"{_digits(value)}x" if math.isfinite(value) else "-"


def eps(value: float) -> str:
    """An error in units of eps: ``0.31 eps``, ``exact`` for none."""
    if not math.isfinite(value):
        return "-"
    return "exact" if value == 0 else f"{value:.2g} eps" if value < 1000 else f"{value:.1e} eps"


def count(value: float) -> str:
    """A whole number with thin gaps between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def number(value: float) -> str:
    """A short plain number, for axes and tables: ``1000``, ``1e-8``, ``0.25``."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.5g}" if abs(value) >= 1000 else f"{value:.4g}"
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else f"{value:.3g}"


def listed(names: Iterable[str], most: int = 6) -> str:
    """``a, b and c``; beyond ``most`` names the others are counted."""
    given = list(dict.fromkeys(names))
    if len(given) > most:
        given = [*given[:most], f"{len(given) - most} more"]
    return " and ".join([", ".join(given[:-1]), given[-1]] if len(given) > 1 else given)


def plural(n: int, noun: str, several: str = "") -> str:
    """``1 cell``, ``2 cells``."""
    return f"{count(n)} {noun if n == 1 else several or f'{noun}s'}"


def clean(text: str) -> str:
    """Text of a table fit for a page: what cannot be printed is spelled out, line by line."""
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def label(text: str, longest: int = 32) -> str:
    """Text for a figure, whose font has the Latin letters for certain."""
    plain = "".join(c if ord(c) < 0x180 else "?" for c in clean(text).replace("\n", " "))
    return plain if len(plain) <= longest else f"{plain[: longest - 3]}..."


def slug(*parts: str) -> str:
    """A file name of lower-case letters, digits, ``-`` and ``_``, whatever the parts hold."""
    return re.sub(r"[^a-z0-9_]+", "-", "-".join(parts).lower()).strip("-")[:80] or "unnamed"


def inline_json(value: object) -> str:
    """JSON that may stand inside a script element: nothing in it ends the element or opens another."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def markdown(text: str) -> str:
    """Text for a cell of a Markdown table, in which nothing is markup."""
    flat = " ".join(clean(text).split())
    return re.sub(r"([\\`*_\[\]<>|#~!&])", r"\\\1", flat).replace("@", "@\u200b")


def span(values: Sequence[float]) -> str:
    """The least and the largest: ``0.1 to 3.2 eps``."""
    low, high = min(values), max(values)
    return eps(high) if eps(low) == eps(high) else f"{eps(low).removesuffix(' eps')} to {eps(high)}"


def _digits(value: float) -> str:
    """Three digits, without an exponent up to 9999."""
    return f"{value:.0f}" if 100 <= abs(value) < 10_000 else f"{value:.3g}"
