"""Taps in functions of single frameworks: their names, values, tangents and cotangents, inside a worker process.

Such a function is no program of the array namespace: only what its author taps is seen. While it runs here, a listener
replaces each tapped array x by ``x + z`` with a zero input z, whose gradient is the cotangent of x; or it collects the
arrays, which become the result. The function is traced, compiled and differentiated by its own backend in the usual
way.
"""

from __future__ import annotations

import itertools
import linecache
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare import taps
from autodiff_compare.backends import Backend, Objective
from autodiff_compare.plan.cases import cast, leaves
from autodiff_compare.problems import Problem
from autodiff_compare.vocabulary import Operator


def listed(
    backend: Backend, problem: Problem, size: str, seed: int, dtype: str, arrays: Sequence[Any]
) -> Mapping[str, Any]:
    """Return the taps of a function in the order of their calls, under ``taps``.

    Each has ``name``, ``occurrence`` (from 0, of taps with that name), ``shape``, ``file``, ``line`` and ``text``.
    """
    found: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()

    def note(name: str, x: Any) -> Any:
        caller = sys._getframe(2)
        file, line = caller.f_code.co_filename, caller.f_lineno
        text = linecache.getline(file, line).strip()
        shape = list(map(int, x.shape))
        found.append(
            {"name": name, "occurrence": counts[name], "shape": shape, "file": file, "line": line, "text": text}
        )
        counts[name] += 1
        return x

    with taps.listening(note):
        _function(backend, problem, size, seed)(*(backend.to_var(cast(a, dtype)) for a in arrays))
    return {"taps": found}


def observed(
    backend: Backend,
    problem: Problem,
    size: str,
    seed: int,
    dtype: str,
    operator: str,
    chosen: Sequence[int],
    tapped: bool,
    differentiated: int,
    points: Sequence[Sequence[Any]],
    directions: Sequence[Any],
) -> Mapping[str, Any]:
    """Return the leaves of an operator at some points, under ``results``.

    Parameters
    ----------
    backend, problem, size, seed
        The function.
    dtype, operator, differentiated, directions
        Of the derivative; ``differentiated`` inputs stand before the data.
    chosen
        The taps to look at, as numbers in the order of their calls.
    tapped
        Whether the function takes a zero for each chosen tap, after its own differentiated inputs, and returns its own
        result. Else it returns the chosen arrays and its result, joined to one vector.
    points
        Inputs; the function is prepared at the first of them.
    """
    own = _function(backend, problem, size, seed)
    if tapped:
        function = _with_zeros(own, chosen, range(differentiated - len(chosen), differentiated), backend.xp)
    else:
        function = _joined(own, chosen, backend.xp)
    given = [[backend.to_var(cast(a, dtype)) for a in arrays] for arrays in points]
    along = [backend.to_var(cast(a, dtype)) for a in directions]
    run = backend.prepare(
        Operator(operator),
        Objective(function),
        given[0],
        argnums=range(differentiated),
        directions=along,
    )
    results = [backend.block(run(*args, *along)) for args in given]
    return {"results": [[np.asarray(backend.to_numpy(leaf)) for leaf in leaves(out)] for out in results]}


def _with_zeros(own: Callable[..., Any], chosen: Sequence[int], zeros: range, xp: Any) -> Callable[..., Any]:
    """Return a function that adds its arguments at the places ``zeros`` to the chosen taps of ``own``."""

    def function(*args: Any) -> Any:
        added = dict(zip(chosen, args[zeros.start : zeros.stop], strict=True))
        calls = itertools.count()

        def add(_: str, x: Any) -> Any:
            zero = added.get(next(calls))
            return x if zero is None else x + (zero if zero.dtype == x.dtype else xp.astype(zero, x.dtype))

        with taps.listening(add):
            return own(*args[: zeros.start], *args[zeros.stop :])

    return function


def _joined(own: Callable[..., Any], chosen: Sequence[int], xp: Any) -> Callable[..., Any]:
    """Return a function whose result is one vector: the arrays at the chosen taps of ``own``, then its result."""

    def function(*args: Any) -> Any:
        seen: list[Any] = []

        def collect(_: str, x: Any) -> Any:
            seen.append(x)
            return x

        with taps.listening(collect):
            out = own(*args)
        parts = [*(seen[i] for i in chosen), out]
        return xp.concat([xp.reshape(xp.astype(part, args[0].dtype), (-1,)) for part in parts])

    return function


def _function(backend: Backend, problem: Problem, size: str, seed: int) -> Callable[..., Any]:
    return problem.function(backend, problem.draw(size, seed).static)
