"""Sparsity patterns of Jacobians and Hessians, declared by a problem or detected, and sparse matrices as SciPy arrays.

A pattern that is not declared is detected by our engine, which runs the function once with index sets beside the values
(`autodiff_compare.backends.numpy_autodiff.dependence`). It holds at every point: both arms of a ``where`` count, and
every order of a ``sort``. Only an ``if`` of Python on a computed value goes the way of the given point.

Where our engine cannot run the function, the pattern of a Jacobian is detected by changing one entry of the inputs at a
time. An output depends on the entry if it differs in any bit at one of two other values, or if it is nan where the
entry is nan. The two values find dependence in the branches that they take. The nan also finds dependence that rounding
hides, or that is flat there. Neither finds a branch that none of the values takes: declare the pattern of such a
function.

Either way, the judge compares the result along random directions with differences of the function itself, so that a
missing entry is reported as a wrong result, not read as a zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff_compare.backends import PLAIN, Backend, Expanded, Pattern, Plain
from autodiff_compare.problems import Array, Inputs, Problem

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Most entries of the inputs for detection by changing them. It evaluates the function three times an entry: more take
#: minutes.
MOST_INPUTS = 10_000


def patterns(problem: Problem, inputs: Inputs) -> tuple[Pattern, ...]:
    """Return the pattern of the Jacobian by each differentiated input, as declared, or else detected at ``inputs``.

    Raises
    ------
    ValueError
        If the declared patterns do not fit the inputs, or if there are too many inputs for detection.
    """
    output = _objective(problem, inputs)(inputs.differentiated)
    shapes = [(output.size, x.size) for x in inputs.differentiated]
    if problem.pattern is None:
        return _traced(problem, inputs, "jacobian_pattern") or tuple(_detected(problem, inputs, output))
    declared = tuple(problem.pattern(inputs))
    if len(declared) != len(shapes):
        raise ValueError(
            f"got {len(declared)} patterns from {problem.name}.pattern, expected (rows, columns) for each of"
            f" {len(shapes)} differentiated inputs"
        )
    return tuple(Pattern.of(shape, *places) for shape, places in zip(shapes, declared, strict=True))


def hessian_patterns(problem: Problem, inputs: Inputs) -> tuple[Pattern, ...]:
    """Return the pattern of the rows of the Hessian for each differentiated input, with the columns of all of them.

    Raises
    ------
    ValueError
        If our engine cannot run the function, or the Hessian is dense and too large.
    """
    found = _traced(problem, inputs, "hessian_pattern")
    if not found:
        raise ValueError(
            f"got a function of {problem.name} that our engine cannot follow, expected one whose operations it records:"
            " take hessian or hvp"
        )
    k = len(inputs.differentiated)
    return tuple(Pattern.beside(found[i * k : (i + 1) * k]) for i in range(k))


def _traced(problem: Problem, inputs: Inputs, detect: str) -> tuple[Pattern, ...]:
    """Return the blocks of a pattern by our engine; nothing where it cannot run the function.

    No backend is opened: this may be the worker of another, whose memory allocator ours would configure.
    """
    try:
        # Only where a pattern is detected: it loads 60 modules. Other versions of NumPy may not have what it needs.
        from autodiff_compare.backends import numpy_autodiff

        function = problem.function(Plain(numpy_autodiff.Variable(0.0).__array_namespace__()), inputs.static)
        argnums = tuple(range(len(inputs.differentiated)))
        found = getattr(numpy_autodiff, detect)(function, *inputs.arrays, argnums=argnums)
    except Exception as error:  # a user's function may raise anything on traced arrays
        if type(error).__name__ == "DenseError":
            raise
        return ()
    return tuple(Pattern.of(shape, *places) for shape, places in zip(found.shapes, found.blocks, strict=True))


def expanded(problem: Problem, backend: Backend, inputs: Inputs) -> Expanded | None:
    """Return the problem's expansion in the backend's namespace, or `None` if it has none."""
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
    """Return the result of ``sparse_jacobian`` as SciPy arrays, one for each differentiated input.

    Parameters
    ----------
    found
        The patterns; their entries are stored even where they are zero.
    entries
        For each pattern, the vector of its entries in CSR order, in any floating dtype.
    """
    from scipy.sparse import csr_array

    made = []
    for pattern, values in zip(found, entries, strict=True):
        starts = np.searchsorted(pattern.rows, np.arange(pattern.shape[0] + 1))
        made.append(csr_array((values, pattern.columns, starts), shape=pattern.shape))
    return tuple(made)


def joined(found: Sequence[Pattern], entries: Sequence[Array]) -> csr_array:
    """Return the `matrices` as one matrix, the blocks of the inputs side by side."""
    from scipy.sparse import hstack

    return hstack(matrices(found, entries), format="csr")


def stacked(found: Sequence[Pattern], entries: Sequence[Array]) -> csr_array:
    """Return the `matrices` as one matrix, the rows of the inputs one after the other: a sparse Hessian."""
    from scipy.sparse import vstack

    return vstack(matrices(found, entries), format="csr")


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
    """Return one value above and one below, by about a tenth of the size, and nan."""
    size = abs(value) or 1.0
    return value + size * rng.uniform(0.05, 0.15), value - size * rng.uniform(0.05, 0.15), np.nan


def _differs(evaluate: Any, given: Sequence[Array], output: Array) -> Array:
    """Return which entries of the output changed; all, if NumPy refuses to compute with nan."""
    try:
        now = np.ravel(evaluate(given))
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):
        return np.ones(output.size, dtype=bool)
    before = np.ravel(output)
    return np.asarray((now != before) & ~(np.isnan(now) & np.isnan(before)))
