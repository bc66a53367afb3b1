"""A saddle point by nested descents: min over p, max over q of ``|p|^2 - |q|^2``.

The outer descent differentiates a cost that contains the result of the inner descent. Derivatives are nested, and each
of the two may be taken in reverse or in forward mode: ``saddle_rf`` is the outer in reverse, the inner in forward mode.
The value is the pair of points (p, q). In the plane, from (1, 1), every coordinate of both is 8.246324826140356e-06.

The closed form: the q at which the inner descent stops does not depend on p. The cost of p is therefore ``|p|^2``
minus a constant, and both points are that at which the descent of ``|x|^2`` stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.problems.base.gradient_descent import argmin, argmin_by_hand
from autodiff_compare.vocabulary import Operator

_MODES = {"r": "reverse", "f": "forward"}
#: Size, the largest number of rounds of each descent -> dimensions of p and of q.
_DIMENSIONS = {6: 2, 200: 2, 400: 5}


def _points(
    start: Any,
    *,
    value_and_derivative: Callable[..., Any],
    while_loop: Callable[..., Any],
    outer: str,
    inner: str,
    rounds: int,
    xp: Any,
) -> Any:
    def end(f: Callable[[Any], Any], mode: str) -> Any:
        both = value_and_derivative(f, mode)
        return argmin(start, value_and_slope=both, while_loop=while_loop, rounds=rounds, xp=xp)

    def difference(p: Any, q: Any) -> Any:
        return xp.sum(p * p) - xp.sum(q * q)

    def best_answer(p: Any) -> Any:
        return difference(p, end(lambda q: -difference(p, q), inner))

    p = end(best_answer, outer)
    return xp.stack([p, end(lambda q: -difference(p, q), outer)])


def _closed_form(start: Array, *, rounds: int, **_: str) -> Array:
    """Return the point at which the descent of ``|x|^2`` stops, for p and for q."""
    x = argmin_by_hand(start, lambda x: (np.sum(x * x), 2 * x), rounds)
    return np.stack([x, x])


def _problem(pair: str) -> Problem:
    outer, inner = (_MODES[letter] for letter in pair)
    modes = {"outer": outer, "inner": inner}
    return Problem(
        name=f"saddle_{pair}",
        title=f"saddle point of |p|^2 - |q|^2 by descents: outer gradient in {outer}, inner in {inner} mode",
        source="Pearlmutter and Siskind 2008, GradBench evaluation saddle; sizes: rounds of each descent at most, in 2,"
        " 2 and 5 dimensions",
        sizes=dict(zip(("small", "medium", "large"), _DIMENSIONS, strict=True)),
        inputs=lambda rng, n: Inputs((rng.uniform(0.9, 1.1, _DIMENSIONS[n]),), (), {**modes, "rounds": n}),
        objective=_points,
        operators=frozenset({Operator.VALUE}),
        reference={Operator.VALUE: _closed_form},
        suites=frozenset({"gradbench"}),
        uses=("value_and_derivative", "while_loop"),
    )


PROBLEMS = tuple(_problem(pair) for pair in ("rr", "rf", "fr", "ff"))
