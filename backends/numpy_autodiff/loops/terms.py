"""What a kernel is written of: numbers, arrays, open loops, and the texts of reductions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from autodiff_compare.backends.numpy_autodiff.loops.affine import ZERO, Affine
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import literal

#: Sums of more entries are added up in blocks, whose totals are added with compensation: NumPy adds in pairs.
BLOCK = 512


@dataclass(frozen=True)
class Term:
    """The text of a number, and the depth of the outermost frame where it is known."""

    text: str
    depth: int = 0


@dataclass(frozen=True)
class Buffer:
    """A C-ordered array as a vector in memory, from ``offset`` on; its entries are known at ``depth``."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    offset: Affine = ZERO
    depth: int = 0


@dataclass(frozen=True)
class Alias:
    """What an input of a loop's body stands for: an operation outside of it, or a constant."""

    given: Any


@dataclass
class Frame:
    """An open loop: its head, its lines, and those that follow it."""

    head: str = ""
    trips: int = 1
    lines: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    known: dict[Any, Term] = field(default_factory=dict)


_STARTS = {"sum": 0, "count": 0, "prod": 1, "max": -math.inf, "min": math.inf, "any": False, "all": True}


def start(how: str, dtype: Any) -> str:
    """Return the value that a reduction begins with."""
    return literal(_STARTS[how], dtype)


def combine(how: str, total: str, term: str, dtype: Any, *, loose: bool = True) -> str:
    """Return the expression that adds a term; ``loose`` where the order is free."""
    if how == "sum" and dtype.kind == "f" and loose:
        return f"accumulate({total}, {term})"
    if how in ("max", "min"):
        name = {"max": "greatest", "min": "least"}[how] if loose else {"max": "maximum", "min": "minimum"}[how]
        return f"{name}({total}, {term})"
    if how == "count":
        return f"{total} + np.int64({term} != 0)"
    return f"{total} {{}} {bracketed(term)}".format({"sum": "+", "prod": "*", "any": "|", "all": "&"}[how])


def bracketed(text: str) -> str:
    """Return the text of a number as an operand."""
    return f"({text})" if text.startswith("-") else text
