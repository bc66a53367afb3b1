"""Headings of tables of problems by backends: how each backend runs a function, and the size of each problem."""

from __future__ import annotations

import math
from collections.abc import Iterable

from autodiff_compare.results.formatting import count
from autodiff_compare.vocabulary import WAYS, split_spec

#: Way to run a function -> its meaning, in the order of the legend.
_MEANINGS = {
    "eager": "operation by operation, at each call",
    "graph": "compiled beforehand",
    "jit": "compiled beforehand",
}
#: Words between the name of a problem and its n.
_N = " (n = "
#: Up to this many inputs, a row gets the sentence on overhead.
_FEW_INPUTS = 100


def heading(spec: str) -> str:
    """Return the heading of a backend's column in lines: ``jax`` over ``(jit)``, ``jax`` over ``:eager``."""
    way = way_of(spec)
    return f"{spec}\n({way})" if way else spec.replace(":", "\n:")


def way_of(spec: str) -> str:
    """Return how the default variant of a backend runs a function; empty for variants and other backends."""
    name, variant = split_spec(spec)
    return "" if variant else WAYS.get(name.partition("@")[0], "")


def legend(specs: Iterable[str]) -> str:
    """Return the meaning of the ways that occur among backends: ``eager: ...; graph, jit: ...``."""
    found = {way_of(spec) for spec in specs}
    words: dict[str, list[str]] = {}
    for way, meaning in _MEANINGS.items():
        if way in found:
            words.setdefault(meaning, []).append(way)
    return "; ".join(f"{', '.join(ways)}: {meaning}" for meaning, ways in words.items())


def sized(problem: str, size: str, n: float, inputs: float) -> str:
    """Return the name of a problem, with n if it exceeds the number of inputs, else with a size that is not small.

    A point that is given, such as ``at=-2,0.5``, is shown itself. A fit of four coefficients to 2000 points has four
    inputs, and n = 2000. Missing numbers are nan.
    """
    if n > inputs and not size.startswith("at="):
        return f"{problem}{_N}{whole(n)})"
    return problem if size == "small" else f"{problem} ({size})"


def longer(names: Iterable[str]) -> str:
    """Return the meaning of n if some row names it."""
    return "n: size of the problem, where it exceeds the inputs" if any(_N in name for name in names) else ""


def whole(n: float) -> str:
    """Return a whole number, from 10 000 on with gaps between its thousands; ``-`` if it is missing."""
    return "-" if math.isnan(n) else count(n) if n >= 10_000 else f"{n:.0f}"


def overhead(inputs: Iterable[float]) -> str:
    """Return the sentence on overhead if some row has few inputs."""
    if not any(n <= _FEW_INPUTS for n in inputs):
        return ""
    return (
        "With few inputs and little data, a time is mostly the overhead of a call, and does not carry over to larger "
        "sizes."
    )
