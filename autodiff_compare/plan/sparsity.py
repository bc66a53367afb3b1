"""Sparse Jacobians seen from the harness: a problem's patterns, declared or detected, and SciPy's arrays.

A pattern that is not declared is detected by moving one input at a time. An output depends on it if it is not the same
to the last bit at one of two other values, or not a number where the input is none. The first sees what is
computed at those values, branches that they cross included; the second what rounding hides and what happens to be
flat there. What neither sees is a branch that none of the values takes, such as the other arm of a ``where`` or another
order of a ``sort``: declare the pattern of such a function. The judge compares a Jacobian along random directions with
differences of the function itself, so that a missing entry comes out as a wrong result, not as a silent zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff_compare.backends import PLAIN, Backend, Expanded, Pattern
from autodiff_compare.problems import Array, Inputs, Problem

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Three evaluations for each input: with more of them it takes minutes.
MOST_INPUTS = 10_000


def patterns(problem: Problem, inputs: Inputs) -> tuple[Pattern, ...]:
    """Where the Jacobian may be non-zero, for each differentiated input: as declared, or detected at ``inputs``.

    Raises
    ------
    ValueError
        If what is declared does not fit the inputs, or if there are too many inputs to detect it.
    """
    output = _objective(problem, inputs)(inputs.differentiated)
    shapes = [(output.size, x.size) for x in inputs.differentiated]
    if problem.pattern is None:
        return tuple(_detected(problem, inputs, output))
    declared = tuple(problem.pattern(inputs))
    if len(declared) != len(shapes):
        raise ValueError(
            f"got {len(declared)} patterns from {problem.name}.pattern, expected (rows, columns) for each of"
            f" {len(shapes)} differentiated inputs"
        )
    return tuple(Pattern.of(shape, *places) for shape, places in zip(shapes, declared, strict=True))


def expanded(problem: Problem, backend: Backend, inputs: Inputs) -> Expanded | None:
    """The problem's expansion in the backend's namespace, if it has one."""
    found = problem.expansion
    if found is None:
        return None
    copies = [np.asarray(c) for c in found.copies(*inputs.arrays, xp=np)]
    m = _objective(problem, inputs)(inputs.differentiated).size
    places = zip(copies, found.pattern(inputs), strict=True)
    return Expanded(
        partial(found.copies, xp=backend.xp),
        partial(found.rows, xp=backend.xp, **inputs.static),
        found.of,
        tuple(Pattern.of((m, copy.size), *at) for copy, at in places),
    )


def matrices(found: Sequence[Pattern], entries: Sequence[Array]) -> tuple[csr_array, ...]:
    """The result of ``sparse_jacobian`` as SciPy's arrays, one for each differentiated input.

    Parameters
    ----------
    found
        The patterns; entries that are zero are kept.
    entries
        One vector for each, in CSR order, in any floating dtype.
    """
    from scipy.sparse import csr_array

    made = []
    for pattern, values in zip(found, entries, strict=True):
        starts = np.searchsorted(pattern.rows, np.arange(pattern.shape[0] + 1))
        made.append(csr_array((values, pattern.columns, starts), shape=pattern.shape))
    return tuple(made)


def beside(found: Sequence[Pattern], entries: Sequence[Array]) -> csr_array:
    """The same as one matrix, the inputs side by side."""
    from scipy.sparse import hstack

    return hstack(matrices(found, entries), format="csr")


def _objective(problem: Problem, inputs: Inputs) -> Any:
    function = problem.function(PLAIN, inputs.static)

    def evaluate(differentiated: Sequence[Array]) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*differentiated, *inputs.data))

    return evaluate


def _detected(problem: Problem, inputs: Inputs, output: Array) -> Iterator[Pattern]:
    n = sum(x.size for x in inputs.differentiated)
    if n > MOST_INPUTS:
        raise ValueError(
            f"got {n} inputs without a pattern, expected at most {MOST_INPUTS} to detect it:"
            f" declare it, Problem({problem.name!r}, ..., pattern=lambda inputs: ((rows, columns), ...))"
        )
    evaluate, rng = _objective(problem, inputs), np.random.default_rng(0)
    for k, x in enumerate(inputs.differentiated):
        rows, columns = [], []
        for j in range(x.size):
            depends = np.zeros(output.size, dtype=bool)
            for value in _others(x.flat[j], rng):
                moved = x.copy()
                moved.flat[j] = value
                given = [*inputs.differentiated[:k], moved, *inputs.differentiated[k + 1 :]]
                depends |= _differs(evaluate, given, output)
            rows.append(np.flatnonzero(depends))
            columns.append(np.full(rows[-1].size, j))
        empty = np.zeros(0, dtype=np.int64)
        yield Pattern.of((output.size, x.size), np.concatenate([empty, *rows]), np.concatenate([empty, *columns]))


def _others(value: float, rng: np.random.Generator) -> tuple[float, ...]:
    """One value above, one below, by about a tenth of its size, and none."""
    size = abs(value) or 1.0
    return value + size * rng.uniform(0.05, 0.15), value - size * rng.uniform(0.05, 0.15), np.nan


def _differs(evaluate: Any, given: Sequence[Array], output: Array) -> Array:
    """Which entries of the output changed; all, where NumPy refuses to compute them from what is no number."""
    try:
        now = np.ravel(evaluate(given))
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):
        return np.ones(output.size, dtype=bool)
    before = np.ravel(output)
    return np.asarray((now != before) & ~(np.isnan(now) & np.isnan(before)))
