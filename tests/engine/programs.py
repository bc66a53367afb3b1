"""Random programs: compositions of NumPy functions that use values again, broadcast, index, select and reduce.

A program is made from a seed, step by step. Each step applies one operation to values made before, and is kept if NumPy
can compute it there. The same seed gives the same program, whatever the dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = Any
Step = Callable[[Array, Array], Array]
#: Makes a step; the generator draws its constants.
Maker = Callable[[np.random.Generator], Step]


def _number(rng: np.random.Generator) -> float:
    return float(rng.choice([-2.0, -0.5, 0.5, 1.0, 2.0, 3.0]))


def _unary(function: Callable[[Array], Array]) -> Maker:
    return lambda rng: lambda a, b: function(a)


def _binary(function: Callable[[Array, Array], Array]) -> Maker:
    return lambda rng: function


def _with_number(function: Callable[[Array, float], Array]) -> Maker:
    def make(rng: np.random.Generator) -> Step:
        k = _number(rng)
        return lambda a, b: function(a, k)

    return make


def _power(exponents: tuple[float, ...]) -> Maker:
    def make(rng: np.random.Generator) -> Step:
        p = exponents[rng.integers(len(exponents))]
        return lambda a, b: a**p

    return make


def _along_an_axis(function: Callable[..., Array]) -> Maker:
    def make(rng: np.random.Generator) -> Step:
        axis = [None, 0, -1][rng.integers(3)]
        return lambda a, b: function(a, axis=axis if np.ndim(a) else None)

    return make


def _constant(function: Callable[[Array, Array], Array]) -> Maker:
    """Make a step with a constant array that has zeros."""

    def make(rng: np.random.Generator) -> Step:
        c = rng.choice([0.0, 1.0, -2.0, 0.5], 3)
        return lambda a, b: function(a, c.astype(a.dtype))

    return make


def _masked(function: Callable[[Array, Array, Array], Array]) -> Maker:
    """Make a step with a constant mask."""

    def make(rng: np.random.Generator) -> Step:
        mask = rng.integers(0, 2, 3).astype(bool)
        return lambda a, b: function(mask, a, b)

    return make


#: Smooth everywhere, and of moderate size for arguments of moderate size; the holomorphic ones come first.
HOLOMORPHIC: dict[str, Maker] = {
    "add": _binary(lambda a, b: a + b),
    "subtract": _binary(lambda a, b: a - b),
    "multiply": _binary(lambda a, b: a * b),
    "square": _unary(lambda a: a * a),
    "scale": _with_number(lambda a, k: a * k),
    "shift": _with_number(lambda a, k: a + k),
    "from": _with_number(lambda a, k: k - a),
    "divide by": _with_number(lambda a, k: a / k),
    "negative": _unary(lambda a: -a),
    "sin": _unary(np.sin),
    "cos": _unary(np.cos),
    "exp": _unary(lambda a: np.exp(0.5 * a)),
    "whole power": _power((2, 3, 4, 2.0, 3.0)),
    "sum": _along_an_axis(np.sum),
    "mean": _along_an_axis(np.mean),
    "cumsum": _unary(lambda a: np.cumsum(a, axis=-1) if np.ndim(a) else a),
    "prod": _along_an_axis(np.prod),
    "flip": _unary(lambda a: a[..., ::-1]),
    "slice": _unary(lambda a: a[..., 1:2]),
    "repeated index": _unary(lambda a: a[..., np.array([0, 2, 0])]),
    "join": _binary(lambda a, b: np.concatenate([np.ravel(a), np.ravel(b)])[-3:]),
    "stack": _binary(lambda a, b: np.stack([a, b])[-1]),
    "transpose": _unary(lambda a: np.sum(a.T, axis=0) if np.ndim(a) else a),
    "outer": _binary(lambda a, b: np.sum(np.ravel(a)[:, None] * np.ravel(b)[None, :3], axis=0)),
    "product": _binary(lambda a, b: np.atleast_2d(a).T @ np.atleast_2d(b)),
    "einsum": _binary(lambda a, b: np.einsum("i,j->ij", np.ravel(a)[:2], np.ravel(b)[:3])),
    "constant factor": _constant(lambda a, c: a * c),
    "by mask": _masked(np.where),
    "drop by mask": _masked(lambda mask, a, b: np.where(mask, a, 0.0)),
}
SMOOTH: dict[str, Maker] = HOLOMORPHIC | {
    "tanh": _unary(np.tanh),
    "arctan": _unary(np.arctan),
    "arcsinh": _unary(np.arcsinh),
    "logaddexp": _binary(np.logaddexp),
    "var": _along_an_axis(np.var),
    "root of a sum": _unary(lambda a: np.sqrt(1 + a * a)),
    "quotient": _binary(lambda a, b: a / (1 + b * b)),
}
#: Kinks, where a convention chooses among the one-sided slopes.
KINKED: dict[str, Maker] = {
    "abs": _unary(np.abs),
    "maximum": _with_number(np.maximum),
    "minimum": _binary(np.minimum),
    "clip": _unary(lambda a: np.clip(a, -1.0, 1.0)),
    "max": _along_an_axis(np.max),
    "sort": _unary(lambda a: np.sort(a, axis=-1) if np.ndim(a) else a),
    "where positive": _binary(lambda a, b: np.where(a > 0, a, b)),
}
#: Slopes or values that are infinite or missing somewhere.
STEEP: dict[str, Maker] = {
    "sqrt": _unary(np.sqrt),
    "cbrt": _unary(np.cbrt),
    "log": _unary(np.log),
    "log1p": _unary(np.log1p),
    "exp of it": _unary(np.exp),
    "expm1": _unary(np.expm1),
    "reciprocal": _with_number(lambda a, k: k / a),
    "ratio": _binary(lambda a, b: a / b),
    "power": _power((0, 0.5, 1.0, 1.5, 2.5, -1, -2.0, 1 / 3, 2, 4)),
    "power of both": _binary(np.power),
    "hypot": _binary(np.hypot),
    "arctan2": _binary(np.arctan2),
    "norm": _along_an_axis(np.linalg.vector_norm),
    "std": _along_an_axis(np.std),
    "arcsin": _unary(np.arcsin),
    "arccos": _unary(np.arccos),
    "arccosh": _unary(np.arccosh),
    "arctanh": _unary(np.arctanh),
    "tan": _unary(np.tan),
    "root where positive": _unary(lambda a: np.where(a > 0, np.sqrt(a), 0.0)),
    "log where positive": _unary(lambda a: np.where(a > 0, np.log(a), a)),
    "sine over it": _unary(lambda a: np.where(a > 0.25, np.sin(a) / a, 1.0)),
    "root of the positive part": _unary(lambda a: np.sqrt(np.maximum(a, 0.0))),
}


#: Of one value, so that a chain of them has no sums in which digits cancel.
UNARY: dict[str, Maker] = {
    name: (SMOOTH | KINKED | STEEP)[name]
    for name in (
        *("square", "scale", "divide by", "negative", "whole power", "flip", "slice", "arcsinh", "abs", "clip", "max"),
        *("sqrt", "cbrt", "log", "reciprocal", "power", "norm", "root where positive", "repeated index"),
    )
}


@dataclass
class Program:
    """A function of arrays: the sum of the means of the values that its steps make.

    Attributes
    ----------
    names
        The operations in order, for messages.
    steps
        The operations with the indices of their arguments: inputs first, then results.
    """

    names: list[str] = field(default_factory=list)
    steps: list[tuple[Step, int, int]] = field(default_factory=list)
    last: int = 3

    def __call__(self, *inputs: Array) -> Array:
        values = list(inputs)
        for step, i, j in self.steps:
            values.append(step(values[i], values[j]))
        found: Any = 0.0
        for k, value in enumerate(values[-self.last :]):
            found = found + np.mean(np.real(value) if value.dtype.kind == "c" else value) * (1.0 + 0.25 * k)
        return found


def program(
    rng: np.random.Generator, table: dict[str, Maker], inputs: list[Array], longest: int, chain: bool
) -> Program:
    """Draw a program that NumPy can compute at the inputs, with finite values; of moderate size, unless a chain."""
    made = Program(last=1 if chain else int(rng.integers(1, 3)))
    values, names = list(inputs), list(table)
    for _ in range(int(rng.integers(1, longest + 1)) + 3):
        name = names[rng.integers(len(names))]
        step = table[name](rng)
        # Recent values are more likely, so that programs are deep and their inputs are used again.
        i, j = (len(values) - 1 - min(len(values) - 1, 0 if chain else int(rng.geometric(0.5)) - 1) for _ in "ij")
        value = _computed(step, values[i], values[j], np.inf if chain else 1e6)
        if value is None:
            continue
        values.append(value)
        made.names.append(f"{name}({i}, {j})")
        made.steps.append((step, i, j))
        if len(made.steps) == longest:
            break
    return made


def _computed(step: Step, a: Array, b: Array, largest: float) -> Array:
    """Return the value of a step, or None if NumPy has none or it is not finite or large."""
    try:
        value = step(a, b)
    except (ValueError, IndexError):
        return None
    fits = np.ndim(value) < 3 and 0 < np.size(value) <= 9 and value.dtype.kind in "fc"
    return value if fits and np.all(np.abs(value) < largest) else None
